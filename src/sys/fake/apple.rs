//! macOS, as far as sendfile goes.

#![allow(non_camel_case_types)]

use std::rc::Rc;

use libc::{c_int, iovec};

use super::machine::{readable, what, Machine, Pass, Stop, What};
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
    pub hdtr: Option<Buffers>,
    /// Has to be 0.
    pub flags: c_int,
}

/// What an `sf_hdtr` points at; `None` for a null pointer.
#[derive(Clone, Debug)]
pub struct Buffers {
    /// Sent first.
    pub headers: Option<Vec<Vec<u8>>>,
    /// Sent last.
    pub trailers: Option<Vec<Vec<u8>>>,
}

/// Copies headers and trailers in.
///
/// # Safety
/// `hdtr` is null or points at a live one, whose pointers are null or point at as many live entries as it says.
pub(super) unsafe fn copy_in(hdtr: *const sf_hdtr) -> Option<Buffers> {
    // SAFETY: the caller's word.
    let hdtr = unsafe { hdtr.as_ref() }?;
    // SAFETY: the caller's word, for both.
    let (headers, trailers) =
        unsafe { (gather(hdtr.headers, hdtr.hdr_cnt), gather(hdtr.trailers, hdtr.trl_cnt)) };
    Some(Buffers { headers, trailers })
}

/// # Safety
/// `entries` is null or points at `count` entries, each of which points at as many live bytes as it says.
unsafe fn gather(entries: *const iovec, count: c_int) -> Option<Vec<Vec<u8>>> {
    if entries.is_null() {
        return None;
    }
    // SAFETY: the caller's word.
    let entries = unsafe { std::slice::from_raw_parts(entries, usize::try_from(count).unwrap()) };
    Some(
        entries
            .iter()
            // SAFETY: the caller's word.
            .map(|entry| unsafe { std::slice::from_raw_parts(entry.iov_base.cast(), entry.iov_len) }.to_vec())
            .collect(),
    )
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
/// `len` points at a live `off_t`; `hdtr` is null or all that it points at is live.
pub unsafe fn sendfile(
    fd: c_int,
    s: c_int,
    offset: off_t,
    len: *mut off_t,
    hdtr: *mut sf_hdtr,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's word, for both.
    let (len, hdtr) = unsafe { (&mut *len, copy_in(hdtr)) };
    let answer = super::answer(&SLOT, Sendfile { fd, s, offset, len: *len, hdtr, flags });
    if let Some(count) = answer.count {
        *len = count;
    }
    super::leave_errno(answer.errno);
    c_int::try_from(answer.returns).unwrap()
}

/// Has XNU answer this thread's calls.
///
/// * The count is written whatever comes, on the earliest errors too; only who never gets as far as the kernel's
///   sendfile finds his own number there.
/// * The length covers headers and file. 0 is the rest of the file.
/// * Headers go out by a writev of their own: one cut short is followed by the file as soon as there is room again.
/// * Room is looked for before the kernel notices that it is done: then the whole length comes with `EAGAIN`.
/// * Only headers and trailers, which it writes, raise SIGPIPE.
pub fn boot(machine: &Rc<Machine>) -> Installed<Sendfile, Answer<off_t>> {
    let machine = Rc::clone(machine);
    install(move |call| {
        if let Some(errno) = machine.refusal() {
            return Answer::failed(errno, None);
        }
        let mut pass = machine.pass(call.s);
        match run(&mut pass, call) {
            Ok(()) => Answer::stale(0, off_t::try_from(pass.sent).unwrap()),
            Err(errno) => Answer::failed(errno, Some(off_t::try_from(pass.sent).unwrap())),
        }
    })
}

fn run(pass: &mut Pass<'_>, call: &Sendfile) -> Result<(), i32> {
    if !readable(call.fd) {
        return Err(libc::EBADF);
    }
    if what(call.fd) != Some(What::Regular) {
        return Err(libc::ENOTSUP);
    }
    connected_stream(call.s)?;
    if call.offset < 0 || call.flags != 0 {
        return Err(libc::EINVAL);
    }
    let buffers = call.hdtr.as_ref();
    if let Some(headers) = buffers.and_then(|buffers| buffers.headers.as_ref()) {
        writev(pass, headers)?;
        // The buffer empties in between.
        let _ = pass.blocked(&[Stop::Full]);
    }
    let mut offset = call.offset;
    loop {
        if let Some(stop) = pass.blocked(&[Stop::Full, Stop::Gone]) {
            return Err(stop.errno());
        }
        let sent = off_t::try_from(pass.sent).unwrap();
        let length = if call.len == 0 { PIECE } else { PIECE.min((call.len - sent).max(0).cast_unsigned()) };
        if length == 0 {
            break;
        }
        let piece = pass.put_file(call.fd, offset, length).map_err(Stop::errno)?;
        if piece == 0 {
            break;
        }
        offset += piece.cast_signed();
    }
    if let Some(trailers) = buffers.and_then(|buffers| buffers.trailers.as_ref()) {
        writev(pass, trailers)?;
    }
    Ok(())
}

/// What the kernel looks for at once.
const PIECE: u64 = 64 * 4096;

/// writev(2) inside a kernel: a count alone if there is one.
pub(super) fn writev(pass: &mut Pass<'_>, buffers: &[Vec<u8>]) -> Result<(), i32> {
    if buffers.is_empty() {
        return Err(libc::EINVAL);
    }
    let before = pass.sent;
    match pass.put(&buffers.concat()) {
        Err(stop) if pass.sent == before => {
            if matches!(stop, Stop::Gone | Stop::Reset) {
                super::machine::raise_sigpipe();
            }
            Err(stop.errno())
        }
        _ => Ok(()),
    }
}

/// What the BSDs and XNU ask of the socket.
pub(super) fn connected_stream(s: c_int) -> Result<(), i32> {
    match what(s) {
        None => Err(libc::EBADF),
        Some(What::Socket { stream: false, .. }) => Err(libc::EINVAL),
        Some(What::Socket { connected: false, .. }) => Err(libc::ENOTCONN),
        Some(What::Socket { .. }) => Ok(()),
        Some(_) => Err(libc::ENOTSOCK),
    }
}
