//! Systems without a sendfile that can be used: NetBSD, OpenBSD, Haiku, and iOS with its kin, where the symbol exists
//! and the call ends the process with SIGSYS. Windows has TransmitFile, but it takes a `SOCKET`, and Node hands out
//! none.
//!
//! The call always fails with `ENOSYS` and nothing sent, so whoever can copy instead may do so.

use super::{Call, Kernel, Outcome};

/// A kernel without sendfile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsupported;

impl Kernel for Unsupported {
    const SYSCALL: Option<&'static str> = None;
    // Not 0: a length cut down to nothing would look like the end of the file, and hide the ENOSYS.
    const MAX: u64 = 0x7fff_f000;

    fn sendfile(&self, _call: &Call<'_>) -> Outcome {
        Outcome::failed(libc::ENOSYS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Bench;
    use super::*;

    #[test]
    fn every_call_is_enosys_with_nothing_sent() {
        let bench = Bench::new(b"0123456789");
        for call in [bench.call(0, 10), bench.call(10, 1), Call { offset: None, ..bench.call(0, 0) }] {
            assert_eq!(Unsupported.sendfile(&call), Outcome::failed(libc::ENOSYS));
        }
    }

    #[test]
    fn it_has_no_system_call_and_its_limit_cuts_nothing_to_zero() {
        assert_eq!(Unsupported::SYSCALL, None);
        assert_ne!(1.min(Unsupported::MAX), 0);
    }
}
