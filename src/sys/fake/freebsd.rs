//! FreeBSD, as far as sendfile goes.

use std::rc::Rc;

use libc::c_int;

use super::apple::{connected_stream, writev};
use super::machine::{readable, size, what, Machine, Pass, Stop, What};
use super::{Answer, Installed, Slot};

pub use super::freebsdlike::{off_t, sf_hdtr, Sendfile};

/// Not if it means waiting.
pub const SF_NODISKIO: c_int = 0x1;
/// Without effect since 11.
pub const SF_MNOWAIT: c_int = 0x2;
/// Wait until the pages are free again.
pub const SF_SYNC: c_int = 0x4;
/// Read ahead by the number in the upper half.
pub const SF_USER_READAHEAD: c_int = 0x8;
/// Do not keep the pages.
pub const SF_NOCACHE: c_int = 0x10;

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
/// `sbytes` points at a live `off_t`; `hdtr` is null or all that it points at is live.
pub unsafe fn sendfile(
    fd: c_int,
    s: c_int,
    offset: off_t,
    nbytes: usize,
    hdtr: *mut sf_hdtr,
    sbytes: *mut off_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's word.
    unsafe { super::freebsdlike::run(&SLOT, (fd, s, offset, nbytes), hdtr, sbytes, flags) }
}

/// Has FreeBSD answer this thread's calls.
///
/// * The count is written once both descriptors are known: not on errors of the file, the offset and the headers.
/// * The length covers the file alone. 0 is its rest.
/// * Headers are part of the first piece of the file: without one they are dropped, and the trailers go out.
/// * A full buffer is `EAGAIN`, even when all is out.
/// * `EBUSY` comes to those who set `SF_NODISKIO`. The others wait.
/// * Only trailers, which it writes, raise SIGPIPE.
pub fn boot(machine: &Rc<Machine>) -> Installed<Sendfile, Answer<off_t>> {
    let machine = Rc::clone(machine);
    install(move |call| {
        if let Some(errno) = machine.refusal() {
            return Answer::failed(errno, None);
        }
        if !readable(call.fd) {
            return Answer::failed(libc::EBADF, None);
        }
        if what(call.fd) != Some(What::Regular) || call.offset < 0 {
            return Answer::failed(libc::EINVAL, None);
        }
        let mut pass = machine.pass(call.s);
        match run(&mut pass, call) {
            Ok(()) => Answer::stale(0, off_t::try_from(pass.sent).unwrap()),
            Err(errno) => Answer::failed(errno, Some(off_t::try_from(pass.sent).unwrap())),
        }
    })
}

fn run(pass: &mut Pass<'_>, call: &Sendfile) -> Result<(), i32> {
    connected_stream(call.s)?;
    pass.waits = call.flags & SF_NODISKIO == 0;
    let there = (size(call.fd) - call.offset).max(0).cast_unsigned();
    let length = if call.nbytes == 0 { there } else { there.min(call.nbytes as u64) };
    if length > 0 {
        if let Some(headers) = call.headers() {
            pass.put(&headers.concat()).map_err(Stop::errno)?;
        }
        if pass.put_file(call.fd, call.offset, length).map_err(Stop::errno)? < length {
            return Ok(());
        }
        if pass.blocked(&[Stop::Full]).is_some() {
            return Err(libc::EAGAIN);
        }
    }
    call.trailers().map_or(Ok(()), |trailers| writev(pass, trailers))
}
