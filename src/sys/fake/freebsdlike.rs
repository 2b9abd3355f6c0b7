//! What FreeBSD and DragonFly have in common.

#![allow(non_camel_case_types)]

use std::thread::LocalKey;

use libc::c_int;

use super::apple::{copy_in, Buffers};
use super::{Answer, Slot};

pub use super::apple::sf_hdtr;

/// 64 bits, on every BSD.
pub type off_t = i64;

/// The arguments of one call.
#[derive(Clone, Debug)]
pub struct Sendfile {
    /// The file.
    pub fd: c_int,
    /// The socket.
    pub s: c_int,
    /// Where to start in the file.
    pub offset: off_t,
    /// File bytes wanted.
    pub nbytes: usize,
    /// Headers and trailers.
    pub hdtr: Option<Buffers>,
    /// FreeBSD's flags.
    pub flags: c_int,
}

impl Sendfile {
    pub(super) fn headers(&self) -> Option<&Vec<Vec<u8>>> {
        self.hdtr.as_ref()?.headers.as_ref()
    }

    pub(super) fn trailers(&self) -> Option<&Vec<Vec<u8>>> {
        self.hdtr.as_ref()?.trailers.as_ref()
    }
}

/// Copies the arguments in, and puts the answer where the caller looks for it.
///
/// # Safety
/// `sbytes` points at a live `off_t`; `hdtr` is null or all that it points at is live.
pub(super) unsafe fn run(
    slot: &'static LocalKey<Slot<Sendfile, Answer<off_t>>>,
    (fd, s, offset, nbytes): (c_int, c_int, off_t, usize),
    hdtr: *const sf_hdtr,
    sbytes: *mut off_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's word, for both.
    let (sbytes, hdtr) = unsafe { (&mut *sbytes, copy_in(hdtr)) };
    let answer = super::answer(slot, Sendfile { fd, s, offset, nbytes, hdtr, flags });
    if let Some(count) = answer.count {
        *sbytes = count;
    }
    super::leave_errno(answer.errno);
    c_int::try_from(answer.returns).unwrap()
}
