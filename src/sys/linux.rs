//! Linux and Android: [sendfile(2)](https://man7.org/linux/man-pages/man2/sendfile.2.html).
//!
//! * One call moves at most 0x7fff_f000 bytes, since 2.6.16; asking for more is cut silently.
//! * A count comes back alone: `EAGAIN` and `EINTR` are told only at 0 bytes. Since 4.3 a signal or a reschedule may
//!   cut a call short with no word of it, so a short count does not mean that the socket is full.
//! * `*offset` is not to be trusted: character devices move bytes and leave it as it was. The return value is.
//! * It knows no headers, no trailers and no flags.
//! * A dead peer raises SIGPIPE, and no flag prevents it: see `signal`.
//! * 32-bit Android and uclibc have 2 GiB offsets in plain `sendfile`: `sendfile64` there. musl's `off_t` always has
//!   64 bits and its `sendfile64` is but another name.

use std::os::fd::AsRawFd;
use std::ptr;

use super::{posix, Call, Kernel, Outcome};

// Under test the call can be answered by an emulated kernel.
#[cfg(test)]
use super::fake::linux::{off_t, sendfile};
#[cfg(all(not(test), any(target_env = "musl", target_env = "ohos")))]
use libc::{off_t, sendfile};
#[cfg(all(not(test), not(any(target_env = "musl", target_env = "ohos"))))]
use libc::{off64_t as off_t, sendfile64 as sendfile};

/// The Linux kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

impl Kernel for Linux {
    const SYSCALL: Option<&'static str> = Some("sendfile");
    const MAX: u64 = 0x7fff_f000;
    const NULL_OFFSET: bool = true;

    fn sendfile(&self, call: &Call<'_>) -> Outcome {
        let Ok(count) = usize::try_from(call.nbytes) else {
            return Outcome::failed(libc::EINVAL);
        };
        let Ok(mut place) = off_t::try_from(call.offset.unwrap_or(0)) else {
            return Outcome::failed(libc::EINVAL);
        };
        let offset = if call.offset.is_some() { &raw mut place } else { ptr::null_mut() };
        // SAFETY: both descriptors are open for the length of their borrow; `offset` is null or points at `place`,
        // which outlives the call.
        let sent = unsafe { sendfile(call.out.as_raw_fd(), call.input.as_raw_fd(), offset, count) };
        match u64::try_from(sent) {
            Ok(sent) => Outcome::sent(sent),
            Err(_) => Outcome::failed(posix::errno()),
        }
    }
}
