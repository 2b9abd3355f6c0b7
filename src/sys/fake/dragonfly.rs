//! DragonFly, as far as sendfile goes.

use libc::c_int;

use super::{Answer, Installed, Slot};

pub use super::freebsdlike::{off_t, sf_hdtr, Sendfile};

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
/// `sbytes` points at a live `off_t`.
pub unsafe fn sendfile(
    fd: c_int,
    s: c_int,
    offset: off_t,
    nbytes: usize,
    hdtr: *mut sf_hdtr,
    sbytes: *mut off_t,
    flags: c_int,
) -> c_int {
    let call = Sendfile { fd, s, offset, nbytes, hdtr, sbytes: 0, flags };
    // SAFETY: the caller's word.
    unsafe { super::freebsdlike::run(&SLOT, call, sbytes) }
}
