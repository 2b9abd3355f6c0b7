//! illumos and Solaris, as far as sendfilev goes.

#![allow(non_camel_case_types)]

use std::ptr;
use std::slice;

use libc::{c_int, c_uint, size_t, ssize_t};

use super::{Answer, Installed, Slot};

/// `long`: 64 bits in a 64-bit process.
pub type off_t = i64;

/// An entry's descriptor where its bytes lie in memory.
pub const SFV_FD_SELF: c_int = -2;

/// One entry: a piece of a file or of memory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sendfilevec_t {
    /// The file, or `SFV_FD_SELF`.
    pub sfv_fd: c_int,
    /// Has to be 0.
    pub sfv_flag: c_uint,
    /// An offset, or an address.
    pub sfv_off: off_t,
    /// Bytes.
    pub sfv_len: size_t,
}

/// An entry as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Bytes copied in from memory.
    Memory(Vec<u8>),
    /// A piece of a file.
    File {
        /// The file.
        fd: c_int,
        /// Has to be 0.
        flag: c_uint,
        /// Where to start.
        offset: off_t,
        /// Bytes.
        length: size_t,
    },
}

/// The arguments of one call.
#[derive(Clone, Debug)]
pub struct Sendfilev {
    /// The socket.
    pub fildes: c_int,
    /// The entries.
    pub vec: Vec<Entry>,
    /// What `*xferred` held.
    pub xferred: size_t,
}

thread_local! {
    static SLOT: Slot<Sendfilev, Answer<size_t>> = const { Slot::new(None) };
}

/// Lets `script` answer this thread's calls.
pub fn install(
    script: impl FnMut(&Sendfilev) -> Answer<size_t> + 'static,
) -> Installed<Sendfilev, Answer<size_t>> {
    super::install(&SLOT, script)
}

/// The call.
///
/// # Safety
/// `vec` points at `sfvcnt` entries, those of memory at live bytes; `xferred` points at a live `size_t`.
pub unsafe fn sendfilev(
    fildes: c_int,
    vec: *const sendfilevec_t,
    sfvcnt: c_int,
    xferred: *mut size_t,
) -> ssize_t {
    // SAFETY: the caller's word.
    let (entries, xferred) =
        unsafe { (slice::from_raw_parts(vec, usize::try_from(sfvcnt).unwrap()), &mut *xferred) };
    let vec = entries
        .iter()
        .map(|entry| {
            if entry.sfv_fd == SFV_FD_SELF {
                let address = usize::from_ne_bytes(entry.sfv_off.to_ne_bytes());
                // SAFETY: the caller's word.
                Entry::Memory(unsafe {
                    slice::from_raw_parts(ptr::with_exposed_provenance(address), entry.sfv_len).to_vec()
                })
            } else {
                Entry::File {
                    fd: entry.sfv_fd,
                    flag: entry.sfv_flag,
                    offset: entry.sfv_off,
                    length: entry.sfv_len,
                }
            }
        })
        .collect();
    let answer = super::answer(&SLOT, Sendfilev { fildes, vec, xferred: *xferred });
    if let Some(count) = answer.count {
        *xferred = count;
    }
    super::leave_errno(answer.errno);
    answer.returns
}
