//! illumos and Solaris: [sendfilev(3EXT)](https://illumos.org/man/3EXT/sendfilev), since Solaris 8, in libsendfile.
//!
//! * Always sendfilev, for a single entry too: libsendfile's `sendfile` adds a count that it never set to `*off` on
//!   early errors, and takes a null `off` for a pointer.
//! * The socket comes first. It has to be a stream of INET or INET6; a regular file will do, a pipe will not.
//! * `*xferred` is the count, beside any errno: `EAGAIN`, `EINTR` and `EINVAL` all come with bytes. Errors found early
//!   leave it as it was, hence the 0 before.
//! * Headers are entries with `SFV_FD_SELF` for a descriptor and the address for an offset. Addresses in the upper half
//!   (SPARC has them) are negative as an `off_t`: the bits count, not the number. No entry is empty: the man page calls
//!   that `EINVAL`, even if the kernel skips it. Trailers could be entries too: see `attempt` for why they are not.
//! * Asking for more than the file holds is `EINVAL`: after the bytes have gone out where they are many, with nothing
//!   sent where they are few. At the end of the file illumos says `EINVAL` and Oracle's Solaris 0, and that goes on
//!   with the next entry.
//! * A file that is not open for reading is `EBADF` where many bytes are wanted and `EACCES` where they are few.

use std::os::fd::AsRawFd;

use super::{posix, Call, Kernel, Outcome};

#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
use super::fake::solarish as kernel;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
use libc as kernel;

/// The illumos and Solaris kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Solarish;

impl Kernel for Solarish {
    const SYSCALL: Option<&'static str> = Some("sendfilev");
    const MAX: u64 = 0x7fff_f000;
    const VECTORED: bool = true;
    const CLAMP: bool = true;

    fn sendfile(&self, call: &Call<'_>) -> Outcome {
        if call.nbytes == 0 {
            return Outcome::sent(0);
        }
        let (Some(Ok(sfv_off)), Ok(sfv_len)) =
            (call.offset.map(kernel::off_t::try_from), usize::try_from(call.nbytes))
        else {
            return Outcome::failed(libc::EINVAL);
        };
        let sfv_fd = call.input.as_raw_fd();
        let mut vector: Vec<_> = call.headers.iter().map(|header| memory(header)).collect();
        vector.push(kernel::sendfilevec_t { sfv_fd, sfv_flag: 0, sfv_off, sfv_len });
        let Ok(count) = libc::c_int::try_from(vector.len()) else {
            return Outcome::failed(libc::EINVAL);
        };
        let mut xferred = 0_usize;
        // SAFETY: the descriptors are open for the length of their borrow; `vector` has `count` entries, and those in
        // memory point at slices that `call` borrows, which the kernel only reads; `xferred` outlives the call.
        let result =
            unsafe { kernel::sendfilev(call.out.as_raw_fd(), vector.as_ptr(), count, &raw mut xferred) };
        let errno = if result < 0 { posix::errno() } else { 0 };
        // Headers left behind are no end of the file: with them EINVAL stays an error.
        if errno == libc::EINVAL && xferred == 0 && call.headers.is_empty() && self.at_end(call) {
            return Outcome::sent(0);
        }
        Outcome::partial(u64::try_from(xferred).unwrap_or(u64::MAX), errno)
    }
}

impl Solarish {
    /// Is there nothing to read at the call's offset? The size is no answer for an empty file.
    fn at_end(self, call: &Call<'_>) -> bool {
        call.offset.is_some_and(|offset| self.pread(call.input, &mut [0], offset) == Outcome::sent(0))
    }
}

/// An entry for bytes in memory.
fn memory(bytes: &[u8]) -> kernel::sendfilevec_t {
    kernel::sendfilevec_t {
        sfv_fd: kernel::SFV_FD_SELF,
        sfv_flag: 0,
        // Both have a pointer's width on these systems: every bit is kept.
        sfv_off: kernel::off_t::from_ne_bytes(bytes.as_ptr().expose_provenance().to_ne_bytes()),
        sfv_len: bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::solarish::{install, Entry};
    use super::super::fake::{Answer, Bench};
    use super::*;

    fn outcome(answer: Answer<usize>) -> Outcome {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(move |_| answer);
        Solarish.sendfile(&bench.call(3, 7))
    }

    #[test]
    fn an_address_keeps_every_bit() {
        let bytes = b"abc";
        let entry = memory(bytes);
        assert_eq!(entry.sfv_fd, -2);
        assert_eq!(entry.sfv_off.to_ne_bytes(), bytes.as_ptr().addr().to_ne_bytes());
        assert_eq!((entry.sfv_len, entry.sfv_flag), (3, 0));
        // What SPARC's addresses look like; never followed.
        let high = std::ptr::without_provenance::<u8>(usize::MAX - 0xfff);
        // SAFETY: a slice of no bytes may stand anywhere but at null.
        let entry = memory(unsafe { std::slice::from_raw_parts(high, 0) });
        assert_eq!(entry.sfv_off, -0x1000);
    }

    #[test]
    fn every_errno_keeps_its_bytes() {
        for errno in [libc::EINTR, libc::EINVAL, libc::EPIPE, libc::EIO, libc::EFBIG, libc::ECONNRESET] {
            assert_eq!(outcome(Answer::failed(errno, Some(2))), Outcome::partial(2, errno));
        }
    }

    #[test]
    fn einval_with_bytes_is_a_count_at_the_end_of_the_file_too() {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(|_| Answer::failed(libc::EINVAL, Some(2)));
        assert_eq!(Solarish.sendfile(&bench.call(10, 7)), Outcome::partial(2, libc::EINVAL));
    }

    #[test]
    fn the_count_is_what_was_transferred_not_what_was_returned() {
        assert_eq!(outcome(Answer { returns: 0, errno: libc::EIO, count: Some(7) }), Outcome::sent(7));
    }

    #[test]
    fn einval_before_the_end_of_the_file_is_an_error() {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(|_| Answer::failed(libc::EINVAL, None));
        assert_eq!(Solarish.sendfile(&bench.call(9, 7)), Outcome::failed(libc::EINVAL));
    }

    #[test]
    fn einval_from_something_without_an_end_is_an_error() {
        let bench = Bench::new(b"");
        let _kernel = install(|_| Answer::failed(libc::EINVAL, None));
        let call = Call { input: bench.call(0, 1).out, ..bench.call(0, 1) };
        assert_eq!(Solarish.sendfile(&call), Outcome::failed(libc::EINVAL));
    }

    #[test]
    fn other_errnos_at_the_end_of_the_file_are_errors() {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(|_| Answer::failed(libc::EAGAIN, None));
        assert_eq!(Solarish.sendfile(&bench.call(10, 7)), Outcome::failed(libc::EAGAIN));
    }

    #[test]
    fn headers_left_behind_are_no_end_of_the_file() {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(|_| Answer::failed(libc::EINVAL, None));
        let call = Call { headers: &[b"head"], ..bench.call(10, 7) };
        assert_eq!(Solarish.sendfile(&call), Outcome::failed(libc::EINVAL));
    }

    #[test]
    fn offsets_beyond_off_t_are_einval() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 0));
        assert_eq!(Solarish.sendfile(&bench.call(1 << 63, 7)), Outcome::failed(libc::EINVAL));
        let unplaced = Call { offset: None, ..bench.call(0, 7) };
        assert_eq!(Solarish.sendfile(&unplaced), Outcome::failed(libc::EINVAL));
        assert_eq!(kernel.calls().len(), 0);
    }

    #[test]
    fn offsets_and_lengths_pass_whole() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0x7fff_f000, 0x7fff_f000));
        assert_eq!(Solarish.sendfile(&bench.call(5 << 32, Solarish::MAX)), Outcome::sent(Solarish::MAX));
        let fd = bench.input.as_raw_fd();
        assert_eq!(
            kernel.calls()[0].vec,
            [Entry::File { fd, flag: 0, offset: 5 << 32, length: 0x7fff_f000 }]
        );
    }
}
