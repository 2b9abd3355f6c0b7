//! What FreeBSD and DragonFly have in common.

#![allow(non_camel_case_types)]

use std::thread::LocalKey;

use libc::c_int;

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
    pub hdtr: *mut sf_hdtr,
    /// What `*sbytes` held.
    pub sbytes: off_t,
    /// FreeBSD's flags.
    pub flags: c_int,
}

/// Puts the answer where the caller looks for it.
///
/// # Safety
/// `sbytes` points at a live `off_t`.
pub(super) unsafe fn run(
    slot: &'static LocalKey<Slot<Sendfile, Answer<off_t>>>,
    call: Sendfile,
    sbytes: *mut off_t,
) -> c_int {
    // SAFETY: the caller's word.
    let sbytes = unsafe { &mut *sbytes };
    let answer = super::answer(slot, Sendfile { sbytes: *sbytes, ..call });
    if let Some(count) = answer.count {
        *sbytes = count;
    }
    super::leave_errno(answer.errno);
    c_int::try_from(answer.returns).unwrap()
}
