//! AIX: [send_file()](https://www.ibm.com/docs/en/aix/7.3?topic=s-send-file-subroutine), since 4.3.2, in libc.
//!
//! * The socket goes in by pointer, and the call may write -1 there: it gets a copy of the number. It has to be a
//!   stream of INET, by the man page.
//! * 0 is all sent, 1 a part (a full buffer, a signal), -1 an error. `bytes_sent` counts headers, file and trailers of
//!   this call, beside an error too; it is touched only when something went out, hence the 0 before. A part of
//!   nothing is no end of the file but a full buffer.
//! * The kernel moves the other fields on, to be called again with the same structure. 4.3.2 forgets `file_bytes`, so
//!   they are not looked at: each call has a structure of its own.
//! * There is one buffer for a header: a list is made flat. There is one for a trailer too, which is left alone: see
//!   `attempt`.
//! * `file_bytes` of -1 is the rest of the file, 0 is told differently by different pages: neither is passed.
//! * Asking for more than the file holds is `EINVAL`, and so is an offset past its end.
//! * `SF_DONT_CACHE`: files kept in the network buffer cache may be sent as they once were.
//! * `EWOULDBLOCK` has a number of its own in part of the headers, and the man page names it, not `EAGAIN`.

use std::os::fd::AsRawFd;
use std::ptr;

use super::{posix, Call, Kernel, Outcome};

#[cfg(not(target_os = "aix"))]
use super::fake::aix as kernel;
#[cfg(target_os = "aix")]
use libc as kernel;

/// The number apart; nothing else on AIX bears it.
const EWOULDBLOCK: i32 = 54;

/// The AIX kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aix;

impl Kernel for Aix {
    const SYSCALL: Option<&'static str> = Some("send_file");
    const MAX: u64 = 0x7fff_f000;
    const VECTORED: bool = true;
    const CLAMP: bool = true;

    fn sendfile(&self, call: &Call<'_>) -> Outcome {
        if call.nbytes == 0 {
            return Outcome::sent(0);
        }
        let mut header = call.headers.concat();
        let (Some(offset), Ok(file_bytes), Ok(header_length)) = (
            call.offset.filter(|&offset| i64::try_from(offset).is_ok()),
            i64::try_from(call.nbytes),
            libc::c_uint::try_from(header.len()),
        ) else {
            return Outcome::failed(libc::EINVAL);
        };
        let mut socket = call.out.as_raw_fd();
        let mut params = kernel::sf_parms {
            header_data: data(&mut header),
            header_length,
            file_descriptor: call.input.as_raw_fd(),
            file_size: 0,
            file_offset: offset,
            file_bytes,
            trailer_data: ptr::null_mut(),
            trailer_length: 0,
            bytes_sent: 0,
        };
        let flags = kernel::SF_DONT_CACHE.cast_unsigned();
        // SAFETY: both descriptors are open for the length of their borrow; `socket` and `params` outlive the call,
        // and so does the buffer that `params` points at, as long as said or null.
        let result = unsafe { kernel::send_file(&raw mut socket, &raw mut params, flags) };
        let errno = match result {
            0 => 0,
            -1 => posix::errno(),
            _ if params.bytes_sent == 0 => libc::EAGAIN,
            _ => 0,
        };
        match errno {
            EWOULDBLOCK => Outcome::partial(params.bytes_sent, libc::EAGAIN),
            // Headers left behind are no end of the file: with them EINVAL stays an error.
            libc::EINVAL if params.bytes_sent == 0 && header.is_empty() => {
                // The size is no answer for an empty file.
                match self.pread(call.input, &mut [0], offset) {
                    Outcome { sent: 0, errno: 0 } => Outcome::sent(0),
                    _ => Outcome::failed(errno),
                }
            }
            _ => Outcome::partial(params.bytes_sent, errno),
        }
    }
}

/// The address of a buffer, null for an empty one.
fn data(buffer: &mut [u8]) -> *mut libc::c_void {
    if buffer.is_empty() {
        ptr::null_mut()
    } else {
        buffer.as_mut_ptr().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::aix::{install, Answered};
    use super::super::fake::{Answer, Bench};
    use super::*;

    fn outcome(answer: Answer<u64>) -> Outcome {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(move |_| answer.into());
        Aix.sendfile(&bench.call(3, 7))
    }

    #[test]
    fn the_socket_may_be_overwritten_with_minus_one() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answered { socket: Some(-1), ..Answer::done(0, 7).into() });
        let call = bench.call(3, 7);
        assert_eq!(Aix.sendfile(&call), Outcome::sent(7));
        assert_eq!(Aix.sendfile(&call), Outcome::sent(7));
        assert_eq!(call.out.as_raw_fd(), bench.out.as_raw_fd());
        assert!(kernel.calls().iter().all(|made| made.socket == bench.out.as_raw_fd()));
    }

    #[test]
    fn the_socket_is_not_closed_and_the_file_not_cached() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 7).into());
        Aix.sendfile(&bench.call(3, 7));
        assert_eq!(kernel.calls()[0].flags, 4);
    }

    #[test]
    fn a_return_of_one_with_nothing_sent_is_eagain() {
        assert_eq!(outcome(Answer::done(1, 0)), Outcome::failed(libc::EAGAIN));
        assert_eq!(
            outcome(Answer { returns: 1, errno: libc::EIO, count: None }),
            Outcome::failed(libc::EAGAIN)
        );
    }

    #[test]
    fn an_error_with_bytes_is_a_count() {
        for errno in [libc::EAGAIN, libc::EINTR, libc::EPIPE, libc::EIO, libc::EINVAL] {
            assert_eq!(outcome(Answer::failed(errno, Some(2))), Outcome::partial(2, errno));
        }
    }

    #[test]
    fn ewouldblock_reads_eagain() {
        assert_eq!(outcome(Answer::failed(EWOULDBLOCK, None)), Outcome::failed(libc::EAGAIN));
        assert_eq!(outcome(Answer::failed(EWOULDBLOCK, Some(2))), Outcome::partial(2, libc::EAGAIN));
        assert_eq!(outcome(Answer::failed(libc::EWOULDBLOCK, None)), Outcome::failed(libc::EAGAIN));
    }

    #[test]
    fn einval_before_the_end_of_the_file_is_an_error() {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(|_| Answer::failed(libc::EINVAL, None).into());
        assert_eq!(Aix.sendfile(&bench.call(9, 7)), Outcome::failed(libc::EINVAL));
    }

    #[test]
    fn headers_left_behind_are_no_end_of_the_file() {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(|_| Answer::failed(libc::EINVAL, None).into());
        let headers = Call { headers: &[b"head"], ..bench.call(10, 7) };
        assert_eq!(Aix.sendfile(&headers), Outcome::failed(libc::EINVAL));
    }

    #[test]
    fn offsets_beyond_a_signed_number_are_einval() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 0).into());
        assert_eq!(Aix.sendfile(&bench.call(1 << 63, 7)), Outcome::failed(libc::EINVAL));
        assert_eq!(Aix.sendfile(&bench.call(0, 1 << 63)), Outcome::failed(libc::EINVAL));
        let unplaced = Call { offset: None, ..bench.call(0, 7) };
        assert_eq!(Aix.sendfile(&unplaced), Outcome::failed(libc::EINVAL));
        assert_eq!(kernel.calls().len(), 0);
    }

    #[test]
    fn offsets_and_lengths_pass_whole() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 0x7fff_f000).into());
        assert_eq!(Aix.sendfile(&bench.call(5 << 32, Aix::MAX)), Outcome::sent(Aix::MAX));
        assert_eq!((kernel.calls()[0].file_offset, kernel.calls()[0].file_bytes), (5 << 32, 0x7fff_f000));
    }
}
