//! DragonFly BSD: [sendfile(2)](https://man.dragonflybsd.org/?command=sendfile&section=2), since 1.0: FreeBSD's call,
//! grown apart since.
//!
//! * The order is file, socket. The socket has to be a connected stream, the file a regular one.
//! * `*sbytes` is copied out on the way back from every error, but errors of the argument checks (`EBADF`, `EINVAL`,
//!   `ENOTCONN`) come before it is set: then it holds whatever lay on the kernel's stack, and a 0 put there before the
//!   call does not survive. It counts on success and beside the errnos of a running transfer (those of a connection
//!   that breaks are among them), and there too only if it is a number that this call can have sent.
//! * A length of 0 is the rest of the file.
//! * No `sf_hdtr`: past the first page the kernel subtracts the headers from the length of the file, so the last file
//!   bytes would be missing and the trailers would stand too early.
//! * The flags are ignored; the man page asks for 0.

use std::os::fd::AsRawFd;
use std::ptr;

use super::{posix, Call, Kernel, Outcome};

#[cfg(not(target_os = "dragonfly"))]
use super::fake::dragonfly as kernel;
#[cfg(target_os = "dragonfly")]
use libc as kernel;

/// The DragonFly kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct DragonFly;

impl Kernel for DragonFly {
    const SYSCALL: Option<&'static str> = Some("sendfile");
    const MAX: u64 = 0x7fff_f000;

    fn sendfile(&self, call: &Call<'_>) -> Outcome {
        let (Some(Ok(offset)), Ok(wanted)) =
            (call.offset.map(kernel::off_t::try_from), usize::try_from(call.nbytes))
        else {
            return Outcome::failed(libc::EINVAL);
        };
        if wanted == 0 {
            return Outcome::sent(0);
        }
        let mut sbytes: kernel::off_t = 0;
        // SAFETY: both descriptors are open for the length of their borrow; `sbytes` outlives the call; a null
        // `sf_hdtr` is allowed.
        let result = unsafe {
            kernel::sendfile(
                call.input.as_raw_fd(),
                call.out.as_raw_fd(),
                offset,
                wanted,
                ptr::null_mut(),
                &raw mut sbytes,
                0,
            )
        };
        let errno = if result == 0 { 0 } else { posix::errno() };
        let count = u64::try_from(sbytes).ok().filter(|&count| count <= call.nbytes);
        match (errno, count) {
            (errno, Some(count)) if errno == 0 || is_of_running_transfer(errno) => {
                Outcome::partial(count, errno)
            }
            // Success with a count that cannot be: how far the file went is not known, and a 0 would claim its end.
            (0, None) => Outcome::failed(libc::EIO),
            _ => Outcome::failed(errno),
        }
    }
}

/// Not one of the argument checks': it comes once the count is set. A socket's pending error is told with the bytes
/// that went out before it.
const fn is_of_running_transfer(errno: i32) -> bool {
    matches!(
        errno,
        libc::EAGAIN
            | libc::EINTR
            | libc::EBUSY
            | libc::EPIPE
            | libc::EIO
            | libc::ENOBUFS
            | libc::ECONNRESET
            | libc::ECONNABORTED
            | libc::ECONNREFUSED
            | libc::ETIMEDOUT
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::ENETUNREACH
    )
}

#[cfg(test)]
mod tests {
    use super::super::fake::dragonfly::install;
    use super::super::fake::{Answer, Bench};
    use super::*;

    fn outcome(answer: Answer<i64>) -> Outcome {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(move |_| answer);
        DragonFly.sendfile(&bench.call(3, 7))
    }

    #[test]
    fn no_header_structure_and_no_flags_are_passed() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 7));
        DragonFly.sendfile(&Call { flags: 1, ..bench.call(3, 7) });
        assert!(kernel.calls()[0].hdtr.is_none());
        assert_eq!(kernel.calls()[0].flags, 0);
    }

    #[test]
    fn the_errnos_of_a_running_transfer_keep_their_bytes() {
        for errno in [libc::EINTR, libc::EBUSY, libc::EPIPE, libc::EIO, libc::ECONNRESET, libc::ETIMEDOUT] {
            assert_eq!(outcome(Answer::failed(errno, Some(7))), Outcome::partial(7, errno));
        }
    }

    #[test]
    fn a_plausible_count_beside_an_early_error_is_garbage() {
        for errno in [libc::EBADF, libc::EINVAL, libc::ENOTCONN, libc::ENOTSOCK, libc::EFAULT] {
            assert_eq!(outcome(Answer::failed(errno, Some(5))), Outcome::failed(errno));
        }
    }

    #[test]
    fn a_count_that_cannot_be_is_garbage_beside_any_errno() {
        for garbage in [8, i64::MAX, -1, i64::MIN] {
            assert_eq!(outcome(Answer::failed(libc::EAGAIN, Some(garbage))), Outcome::failed(libc::EAGAIN));
        }
    }

    #[test]
    fn success_with_a_count_that_cannot_be_is_not_the_end_of_the_file() {
        assert_eq!(outcome(Answer::done(0, 8)), Outcome::failed(libc::EIO));
        assert_eq!(outcome(Answer::done(0, -1)), Outcome::failed(libc::EIO));
    }

    #[test]
    fn offsets_beyond_off_t_are_einval() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 0));
        assert_eq!(DragonFly.sendfile(&bench.call(1 << 63, 7)), Outcome::failed(libc::EINVAL));
        let unplaced = Call { offset: None, ..bench.call(0, 7) };
        assert_eq!(DragonFly.sendfile(&unplaced), Outcome::failed(libc::EINVAL));
        assert_eq!(kernel.calls().len(), 0);
    }

    #[test]
    fn offsets_and_lengths_pass_whole() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 0x7fff_f000));
        assert_eq!(DragonFly.sendfile(&bench.call(5 << 32, DragonFly::MAX)), Outcome::sent(DragonFly::MAX));
        assert_eq!((kernel.calls()[0].offset, kernel.calls()[0].nbytes), (5 << 32, 0x7fff_f000));
    }
}
