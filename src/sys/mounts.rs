//! What is known of mounts: whether opening, closing and looking up in them asks only this machine's memory and disks,
//! or somebody else, who may take his time.
//!
//! Asking a file system what it is (fstatfs(2)) may itself wait for a server or a FUSE daemon, so it is done on threads
//! that may wait, and remembered for those that may not.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A mount, by the kernel's number for it. From Linux 6.8 on no number is used twice; before, a later mount may get the
/// number and the device of one that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    /// The number.
    pub id: u64,
    /// The device of its file system.
    pub device: (u32, u32),
}

/// More mounts than a machine has: those that are gone are forgotten with all others.
const MAX: usize = 1024;

fn known() -> MutexGuard<'static, HashMap<Mount, bool>> {
    static KNOWN: LazyLock<Mutex<HashMap<Mount, bool>>> = LazyLock::new(Mutex::default);
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is it local? `None` if nobody has asked yet.
pub fn is_local(mount: Mount) -> Option<bool> {
    known().get(&mount).copied()
}

/// Remembers the answer.
pub fn remember(mount: Mount, local: bool) {
    let mut known = known();
    if known.len() >= MAX {
        known.clear();
    }
    known.insert(mount, local);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that no mount of this machine has.
    const fn unreal(id: u64) -> Mount {
        Mount { id: u64::MAX - id, device: (u32::MAX, 0) }
    }

    #[test]
    fn what_was_not_asked_is_not_known() {
        assert_eq!(is_local(unreal(0)), None);
    }

    #[test]
    fn the_last_answer_counts() {
        remember(unreal(1), true);
        assert_eq!(is_local(unreal(1)), Some(true));
        remember(unreal(1), false);
        assert_eq!(is_local(unreal(1)), Some(false));
        assert_eq!(is_local(Mount { device: (u32::MAX, 1), ..unreal(1) }), None);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        for id in 0..3 * MAX as u64 {
            remember(unreal(100 + id), false);
            assert!(known().len() <= MAX);
        }
    }
}
