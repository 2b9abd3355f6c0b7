//! DragonFly, as far as sendfile goes.

use std::rc::Rc;

use libc::c_int;

use super::apple::{connected_stream, writev};
use super::machine::{readable, what, Machine, Pass, Stop, What};
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

/// Has DragonFly answer this thread's calls.
///
/// * The count is copied out on every error but those of the file's descriptor, and set only once the arguments are
///   found good: until then it is what lay on the stack, which may look like any count.
/// * The length covers the file, and past the first page the headers too. 0 is the rest of the file.
/// * A socket's pending error is told with the bytes that went out before it.
/// * The flags are not looked at.
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
        if !matches!(what(call.fd), Some(What::Regular | What::Device | What::Other)) {
            return Answer::failed(libc::EINVAL, None);
        }
        if let Err(errno) = check(call) {
            return Answer::failed(errno, Some(STACK));
        }
        let mut pass = machine.pass(call.s);
        match run(&mut pass, call) {
            Ok(()) => Answer::stale(0, off_t::try_from(pass.sent).unwrap()),
            Err(errno) => Answer::failed(errno, Some(off_t::try_from(pass.sent).unwrap())),
        }
    })
}

/// What lies on the stack: as good a count as any.
const STACK: off_t = 1;

const PAGE: u64 = 4096;

fn check(call: &Sendfile) -> Result<(), i32> {
    if what(call.fd) != Some(What::Regular) {
        return Err(libc::EINVAL);
    }
    connected_stream(call.s)?;
    if call.offset < 0 {
        return Err(libc::EINVAL);
    }
    Ok(())
}

fn run(pass: &mut Pass<'_>, call: &Sendfile) -> Result<(), i32> {
    let mut headers = call.headers().map(|headers| headers.concat());
    let mut offset = call.offset;
    loop {
        let mut length = PAGE - offset.cast_unsigned() % PAGE;
        if call.nbytes > 0 {
            length = length.min((call.nbytes as u64).saturating_sub(pass.sent));
        }
        if offset >= super::machine::size(call.fd) || length == 0 {
            break;
        }
        if let Some(headers) = headers.take() {
            pass.put(&headers).map_err(Stop::errno)?;
        }
        let piece = pass.put_file(call.fd, offset, length).map_err(Stop::errno)?;
        offset += piece.cast_signed();
    }
    if let Some(headers) = headers {
        pass.put(&headers).map_err(Stop::errno)?;
    }
    call.trailers().map_or(Ok(()), |trailers| writev(pass, trailers))
}
