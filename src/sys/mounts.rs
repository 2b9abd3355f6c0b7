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

#[derive(Debug, Default)]
struct Table(HashMap<Mount, bool>);

impl Table {
    fn is_local(&self, mount: Mount) -> Option<bool> {
        self.0.get(&mount).copied()
    }

    fn remember(&mut self, mount: Mount, local: bool) {
        if self.0.len() >= MAX {
            self.0.clear();
        }
        self.0.insert(mount, local);
    }
}

fn known() -> MutexGuard<'static, Table> {
    static KNOWN: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is it local? `None` if nobody has asked yet.
pub fn is_local(mount: Mount) -> Option<bool> {
    known().is_local(mount)
}

/// Remembers the answer.
pub fn remember(mount: Mount, local: bool) {
    known().remember(mount, local);
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mount(id: u64) -> Mount {
        Mount { id, device: (8, 0) }
    }

    #[test]
    fn what_was_not_asked_is_not_known() {
        assert_eq!(Table::default().is_local(mount(0)), None);
    }

    #[test]
    fn the_last_answer_counts() {
        let mut table = Table::default();
        table.remember(mount(1), true);
        assert_eq!(table.is_local(mount(1)), Some(true));
        table.remember(mount(1), false);
        assert_eq!(table.is_local(mount(1)), Some(false));
        assert_eq!(table.is_local(Mount { device: (8, 1), ..mount(1) }), None);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let mut table = Table::default();
        for id in 0..3 * MAX as u64 {
            table.remember(mount(id), false);
            assert!(table.0.len() <= MAX);
        }
    }

    #[test]
    fn all_of_the_process_ask_one_table() {
        let unreal = Mount { id: u64::MAX, device: (u32::MAX, 0) };
        assert_eq!(is_local(unreal), None);
        remember(unreal, true);
        assert_eq!(is_local(unreal), Some(true));
    }
}
