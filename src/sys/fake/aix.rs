//! AIX, as far as send_file goes.

#![allow(non_camel_case_types)]

use std::slice;

use libc::{c_int, c_uint, c_void, ssize_t};

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
