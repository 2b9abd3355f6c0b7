//! macOS: [sendfile(2)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/sendfile.2.html),
//! since 10.5. iOS and its kin have the symbol too, but there the call ends the process with SIGSYS.
//!
//! * The order is file, socket. The socket has to be a connected stream, the file a regular one (else `ENOTSUP`).
//! * `*len` says what is wanted and then what went out. The kernel writes it on every path, so it counts beside any
//!   errno: `EAGAIN`, `EINTR` and `EPIPE` all come with bytes. Even the whole length may come with `EAGAIN` or `EPIPE`,
//!   since the kernel looks for room once more before it notices that it is done.
//! * A call that never gets as far as the kernel's sendfile (a sandbox that forbids it, an emulator without it) leaves
//!   in `*len` what was asked for. Any other errno beside the whole length is such a leftover, not a count.
//! * A length of 0 is the rest of the file.
//! * No `sf_hdtr`: its length covers headers and file together, a header cut short on a non-blocking socket may be
//!   followed by file bytes, and header and file leave in separate packets anyway.
//! * The kernel copies the file into network buffers and waits for them uninterruptibly, on non-blocking sockets too:
//!   where they run out the process cannot even be killed. There is little to gain, so transfers prefer to copy.

use std::os::fd::AsRawFd;
use std::ptr;

use super::{posix, Call, Kernel, Outcome};

#[cfg(not(target_os = "macos"))]
use super::fake::apple as kernel;
#[cfg(target_os = "macos")]
use libc as kernel;

/// The macOS kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apple;

impl Kernel for Apple {
    const SYSCALL: Option<&'static str> = Some("sendfile");
    const MAX: u64 = 0x7fff_f000;
    const PREFER_COPY: bool = true;

    fn sendfile(&self, call: &Call<'_>) -> Outcome {
        let (Some(Ok(offset)), Ok(wanted)) =
            (call.offset.map(kernel::off_t::try_from), kernel::off_t::try_from(call.nbytes))
        else {
            return Outcome::failed(libc::EINVAL);
        };
        if wanted == 0 {
            return Outcome::sent(0);
        }
        let mut len = wanted;
        // SAFETY: both descriptors are open for the length of their borrow; `len` outlives the call; a null `sf_hdtr`
        // is allowed.
        let result = unsafe {
            kernel::sendfile(
                call.input.as_raw_fd(),
                call.out.as_raw_fd(),
                offset,
                &raw mut len,
                ptr::null_mut(),
                0,
            )
        };
        let errno = if result == 0 { 0 } else { posix::errno() };
        if len == wanted && !matches!(errno, 0 | libc::EAGAIN | libc::EINTR | libc::EPIPE) {
            return Outcome::failed(errno);
        }
        Outcome::partial(u64::try_from(len).unwrap_or(0), errno)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::apple::install;
    use super::super::fake::{Answer, Bench};
    use super::*;

    fn outcome(answer: Answer<i64>) -> Outcome {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(move |_| answer);
        Apple.sendfile(&bench.call(3, 7))
    }

    #[test]
    fn a_length_left_unwritten_on_an_early_error_is_not_believed() {
        for errno in [libc::EPERM, libc::ENOSYS, libc::EBADF, libc::EINVAL, libc::ENOTSUP] {
            assert_eq!(outcome(Answer::failed(errno, None)), Outcome::failed(errno));
        }
    }

    #[test]
    fn a_negative_count_is_nothing() {
        assert_eq!(outcome(Answer::failed(libc::EINTR, Some(-1))), Outcome::failed(libc::EINTR));
    }

    #[test]
    fn numbers_beyond_off_t_are_einval() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 0));
        assert_eq!(Apple.sendfile(&bench.call(1 << 63, 7)), Outcome::failed(libc::EINVAL));
        assert_eq!(Apple.sendfile(&bench.call(0, 1 << 63)), Outcome::failed(libc::EINVAL));
        let unplaced = Call { offset: None, ..bench.call(0, 7) };
        assert_eq!(Apple.sendfile(&unplaced), Outcome::failed(libc::EINVAL));
        assert_eq!(kernel.calls().len(), 0);
    }

    #[test]
    fn offsets_and_lengths_pass_whole() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|call| Answer::done(0, call.len));
        assert_eq!(Apple.sendfile(&bench.call(5 << 32, Apple::MAX)), Outcome::sent(Apple::MAX));
        assert_eq!((kernel.calls()[0].offset, kernel.calls()[0].len), (5 << 32, 0x7fff_f000));
    }
}
