//! macOS, as far as sendfile goes.

#![allow(non_camel_case_types)]

use libc::{c_int, iovec};

use super::{Answer, Installed, Slot};

/// 64 bits, on every Apple system.
pub type off_t = i64;

/// Headers and trailers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sf_hdtr {
    /// Sent first.
    pub headers: *mut iovec,
    /// How many.
    pub hdr_cnt: c_int,
    /// Sent last.
    pub trailers: *mut iovec,
    /// How many.
    pub trl_cnt: c_int,
}

/// The arguments of one call.
#[derive(Clone, Debug)]
pub struct Sendfile {
    /// The file.
    pub fd: c_int,
    /// The socket.
    pub s: c_int,
    /// Where to start in the file.
    pub offset: off_t,
    /// What `*len` held.
    pub len: off_t,
    /// Headers and trailers.
    pub hdtr: *mut sf_hdtr,
    /// Has to be 0.
    pub flags: c_int,
}

thread_local! {
    static SLOT: Slot<Sendfile, Answer<off_t>> = const { Slot::new(None) };
}

/// Lets `script` answer this thread's calls.
pub fn install(
    script: impl FnMut(&Sendfile) -> Answer<off_t> + 'static,
) -> Installed<Sendfile, Answer<off_t>> {
    super::install(&SLOT, script)
}

/// The call.
///
/// # Safety
/// `len` points at a live `off_t`.
pub unsafe fn sendfile(
    fd: c_int,
    s: c_int,
    offset: off_t,
    len: *mut off_t,
    hdtr: *mut sf_hdtr,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's word.
    let len = unsafe { &mut *len };
    let answer = super::answer(&SLOT, Sendfile { fd, s, offset, len: *len, hdtr, flags });
    if let Some(count) = answer.count {
        *len = count;
    }
    super::leave_errno(answer.errno);
    c_int::try_from(answer.returns).unwrap()
}
