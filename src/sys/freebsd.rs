//! FreeBSD: [sendfile(2)](https://man.freebsd.org/cgi/man.cgi?sendfile(2)), since 3.0.
//!
//! * The order is file, socket. The socket has to be a connected stream and not SCTP; the file a regular one or an
//!   object of shm_open(2).
//! * `*sbytes` counts beside any errno: `EAGAIN` comes with bytes, even when all of them went out, and so does `EINTR`.
//!   Errors found before both descriptors are known (`EBADF`, a bad offset) leave it as it was, hence the 0 before.
//! * A length of 0 is the rest of the file.
//! * The only kernel here with flags: `SF_NODISKIO`, `SF_NOCACHE`, `SF_USER_READAHEAD` and a number of pages to read
//!   ahead in the upper half. Unknown bits are not refused. `EBUSY` comes of `SF_NODISKIO` alone; until 11 that flag
//!   meant "do not wait for the disk", from then on "not if a page is busy".
//! * No `sf_hdtr`: where the file part is empty the kernel drops the headers without a word and sends the trailers.
//! * From 11 on disk reads are asynchronous: one that fails after the call has returned aborts the connection, and
//!   `EIO` is told by the next call.

use std::os::fd::AsRawFd;
use std::ptr;

use super::{posix, Call, Kernel, Outcome};

#[cfg(not(target_os = "freebsd"))]
use super::fake::freebsd as kernel;
#[cfg(target_os = "freebsd")]
use libc as kernel;

/// The FreeBSD kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct FreeBsd;

impl Kernel for FreeBsd {
    const SYSCALL: Option<&'static str> = Some("sendfile");
    const MAX: u64 = 0x7fff_f000;
    const FLAGS: bool = true;
    const CONSTANTS: &'static [(&'static str, i32)] = &[
        ("SF_NODISKIO", kernel::SF_NODISKIO),
        ("SF_MNOWAIT", kernel::SF_MNOWAIT),
        ("SF_SYNC", kernel::SF_SYNC),
        ("SF_USER_READAHEAD", kernel::SF_USER_READAHEAD),
        ("SF_NOCACHE", kernel::SF_NOCACHE),
    ];

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
                call.flags,
            )
        };
        let errno = if result == 0 { 0 } else { posix::errno() };
        Outcome::partial(u64::try_from(sbytes).unwrap_or(0), errno)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::freebsd::{install, SF_NOCACHE, SF_NODISKIO};
    use super::super::fake::{Answer, Bench};
    use super::*;

    fn outcome(answer: Answer<i64>) -> Outcome {
        let bench = Bench::new(b"0123456789");
        let _kernel = install(move |_| answer);
        FreeBsd.sendfile(&bench.call(3, 7))
    }

    #[test]
    fn flags_and_readahead_are_passed() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 7));
        let flags = (16 << 16) | SF_NODISKIO | SF_NOCACHE;
        FreeBsd.sendfile(&Call { flags, ..bench.call(3, 7) });
        assert_eq!(kernel.calls()[0].flags, 0x0010_0011);
    }

    #[test]
    fn every_errno_keeps_its_bytes() {
        for errno in [libc::EINTR, libc::EBUSY, libc::EPIPE, libc::EIO, libc::ECONNRESET, libc::ENOBUFS] {
            assert_eq!(outcome(Answer::failed(errno, Some(2))), Outcome::partial(2, errno));
        }
    }

    #[test]
    fn offsets_beyond_off_t_are_einval() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 0));
        assert_eq!(FreeBsd.sendfile(&bench.call(1 << 63, 7)), Outcome::failed(libc::EINVAL));
        let unplaced = Call { offset: None, ..bench.call(0, 7) };
        assert_eq!(FreeBsd.sendfile(&unplaced), Outcome::failed(libc::EINVAL));
        assert_eq!(kernel.calls().len(), 0);
    }

    #[test]
    fn offsets_and_lengths_pass_whole() {
        let bench = Bench::new(b"0123456789");
        let kernel = install(|_| Answer::done(0, 0x7fff_f000));
        assert_eq!(FreeBsd.sendfile(&bench.call(5 << 32, FreeBsd::MAX)), Outcome::sent(FreeBsd::MAX));
        assert_eq!((kernel.calls()[0].offset, kernel.calls()[0].nbytes), (5 << 32, 0x7fff_f000));
    }
}
