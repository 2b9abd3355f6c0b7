//! AIX, as far as send_file goes.

#![allow(non_camel_case_types)]

use std::rc::Rc;
use std::slice;

use libc::{c_int, c_uint, c_void, ssize_t};

use super::machine::{raise_sigpipe, readable, size, what, Machine, Pass, Stop, What};
use super::{Answer, Installed, Slot};

/// Close the socket when all is sent.
pub const SF_CLOSE: c_int = 1;
/// Not supported.
pub const SF_REUSE: c_int = 2;
/// Leave the file out of the network buffer cache.
pub const SF_DONT_CACHE: c_int = 4;
/// Bring the network buffer cache up to date first.
pub const SF_SYNC_CACHE: c_int = 8;

/// What to send, and how far it went.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sf_parms {
    /// Sent first.
    pub header_data: *mut c_void,
    /// Bytes of it.
    pub header_length: c_uint,
    /// The file.
    pub file_descriptor: c_int,
    /// Its size, written by the call.
    pub file_size: u64,
    /// Where to start in it.
    pub file_offset: u64,
    /// File bytes wanted.
    pub file_bytes: i64,
    /// Sent last.
    pub trailer_data: *mut c_void,
    /// Bytes of it.
    pub trailer_length: c_uint,
    /// The count, written by the call.
    pub bytes_sent: u64,
}

/// The arguments of one call.
#[derive(Clone, Debug)]
pub struct SendFile {
    /// What `*socket` held.
    pub socket: c_int,
    /// The header's bytes; `None` for a null pointer.
    pub header: Option<Vec<u8>>,
    /// The file.
    pub file_descriptor: c_int,
    /// What the field held.
    pub file_size: u64,
    /// Where to start in the file.
    pub file_offset: u64,
    /// File bytes wanted.
    pub file_bytes: i64,
    /// The trailer's bytes; `None` for a null pointer.
    pub trailer: Option<Vec<u8>>,
    /// What the field held.
    pub bytes_sent: u64,
    /// `SF_` flags.
    pub flags: c_uint,
}

/// An answer that may write to the socket's number as well.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The rest of it.
    pub answer: Answer<u64>,
    /// Written to `*socket`.
    pub socket: Option<c_int>,
}

impl From<Answer<u64>> for Answered {
    fn from(answer: Answer<u64>) -> Self {
        Self { answer, socket: None }
    }
}

thread_local! {
    static SLOT: Slot<SendFile, Answered> = const { Slot::new(None) };
}

/// Lets `script` answer this thread's calls.
pub fn install(script: impl FnMut(&SendFile) -> Answered + 'static) -> Installed<SendFile, Answered> {
    super::install(&SLOT, script)
}

/// The call. Whatever goes out, the fields that the kernel moves on are spoilt: nobody may build on them.
///
/// # Safety
/// `socket` and `iobuf` point at live values, and the buffers of `iobuf` at as many bytes as it says, or at nothing.
pub unsafe fn send_file(socket: *mut c_int, iobuf: *mut sf_parms, flags: c_uint) -> ssize_t {
    // SAFETY: the caller's word.
    let (socket, params) = unsafe { (&mut *socket, &mut *iobuf) };
    let call = SendFile {
        socket: *socket,
        // SAFETY: the caller's word.
        header: unsafe { copy(params.header_data, params.header_length) },
        file_descriptor: params.file_descriptor,
        file_size: params.file_size,
        file_offset: params.file_offset,
        file_bytes: params.file_bytes,
        // SAFETY: the caller's word.
        trailer: unsafe { copy(params.trailer_data, params.trailer_length) },
        bytes_sent: params.bytes_sent,
        flags,
    };
    let Answered { answer, socket: overwrite } = super::answer(&SLOT, call);
    if let Some(count) = answer.count {
        params.bytes_sent = count;
        params.file_size = u64::MAX;
        params.file_offset = u64::MAX;
        params.file_bytes = -1;
    }
    if let Some(number) = overwrite {
        *socket = number;
    }
    super::leave_errno(answer.errno);
    answer.returns
}

/// # Safety
/// `data` is null or points at `length` live bytes.
unsafe fn copy(data: *const c_void, length: c_uint) -> Option<Vec<u8>> {
    if data.is_null() {
        assert_eq!(length, 0);
        return None;
    }
    // SAFETY: the caller's word.
    Some(unsafe { slice::from_raw_parts(data.cast::<u8>(), usize::try_from(length).unwrap()) }.to_vec())
}

/// The number that the headers give EWOULDBLOCK in part.
const EWOULDBLOCK: c_int = 54;

/// Has AIX answer this thread's calls.
///
/// * 0 is all sent, 1 a part. The count is written only when something went out.
/// * A full buffer before the first byte is told in three ways, so here by turns: a part of nothing, `EAGAIN` and
///   `EWOULDBLOCK`. So is a signal after some bytes: as a part, or as `EINTR` beside them.
/// * More than the file holds is `EINVAL`, with nothing sent. A length of 0 is told differently by different pages:
///   here it is the rest of the file, as -1 is.
/// * Without `SF_DONT_CACHE` and `SF_SYNC_CACHE` a file goes out as it was when it was first sent.
/// * With `SF_CLOSE` the socket is closed once all is out, and its number overwritten.
/// * A dead peer raises SIGPIPE.
pub fn boot(machine: &Rc<Machine>) -> Installed<SendFile, Answered> {
    let machine = Rc::clone(machine);
    install(move |call| {
        if let Some(errno) = machine.refusal() {
            return Answer::failed(errno, None).into();
        }
        let mut pass = machine.pass(call.socket);
        pass.stale = call.flags & (SF_DONT_CACHE | SF_SYNC_CACHE).cast_unsigned() == 0;
        let result = run(&mut pass, call);
        let count = Some(pass.sent).filter(|&sent| sent > 0);
        let turn = machine.passes() % 3;
        match result {
            Ok(()) => {
                let close = call.flags & SF_CLOSE.cast_unsigned() != 0;
                if close {
                    pass.close();
                }
                Answered { answer: Answer { count, ..Answer::stale(0, 0) }, socket: close.then_some(-1) }
            }
            Err(libc::EAGAIN) if count.is_some() || turn == 0 => {
                Answer { count, ..Answer::stale(1, 0) }.into()
            }
            Err(libc::EAGAIN) if turn == 1 => Answer::failed(EWOULDBLOCK, None).into(),
            Err(libc::EINTR) if count.is_some() && turn == 0 => {
                Answer { count, ..Answer::stale(1, 0) }.into()
            }
            Err(errno) => {
                if errno == libc::EPIPE {
                    raise_sigpipe();
                }
                Answer::failed(errno, count).into()
            }
        }
    })
}

fn run(pass: &mut Pass<'_>, call: &SendFile) -> Result<(), i32> {
    match what(call.socket) {
        None => return Err(libc::EBADF),
        Some(What::Socket { stream: true, connected: true }) => {}
        Some(What::Socket { stream: true, .. }) => return Err(libc::ENOTCONN),
        Some(What::Socket { .. }) => return Err(libc::EINVAL),
        Some(_) => return Err(libc::ENOTSOCK),
    }
    if !readable(call.file_descriptor) {
        return Err(libc::EBADF);
    }
    if what(call.file_descriptor) != Some(What::Regular) {
        return Err(libc::EINVAL);
    }
    let offset = i64::try_from(call.file_offset).map_err(|_| libc::EINVAL)?;
    let there = size(call.file_descriptor) - offset;
    if there < 0 || call.file_bytes > there {
        return Err(libc::EINVAL);
    }
    let length = if call.file_bytes > 0 { call.file_bytes } else { there };
    pass.put(call.header.as_deref().unwrap_or_default()).map_err(Stop::errno)?;
    pass.put_file(call.file_descriptor, offset, length.cast_unsigned()).map_err(Stop::errno)?;
    pass.put(call.trailer.as_deref().unwrap_or_default()).map_err(Stop::errno)
}
