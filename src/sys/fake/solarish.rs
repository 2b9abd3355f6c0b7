//! illumos and Solaris, as far as sendfilev goes.

#![allow(non_camel_case_types)]

use std::ptr;
use std::rc::Rc;
use std::slice;

use libc::{c_int, c_uint, size_t, ssize_t};

use super::machine::{raise_sigpipe, readable, what, writable, Machine, Pass, Stop, What};
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

impl Entry {
    fn length(&self) -> size_t {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File { length, .. } => *length,
        }
    }
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

/// Whose kernel it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// illumos: past the end of a file is `EINVAL`.
    Illumos,
    /// Oracle's Solaris: it is the end of that entry.
    Solaris,
}

/// Up to here a round is put together in memory before any of it goes out.
pub const SMALL: u64 = 4 * 8 * 1024;

/// Entries in a round.
const ROUND: usize = 16;

/// Has illumos or Solaris answer this thread's calls.
///
/// * The count is written unless the number of entries or the socket's descriptor is wrong.
/// * A small round goes out whole or not at all: what is wrong with one entry is found before any byte is out. A large
///   one is sent entry by entry, and what is wrong is found with bytes gone.
/// * A file that cannot be read is `EBADF` in a large round and `EACCES` in a small one.
/// * No entry is empty, as the man page has it.
/// * A dead peer raises SIGPIPE.
pub fn boot(make: Make, machine: &Rc<Machine>) -> Installed<Sendfilev, Answer<size_t>> {
    let machine = Rc::clone(machine);
    install(move |call| {
        if let Some(errno) = machine.refusal() {
            return Answer::failed(errno, None);
        }
        if call.vec.is_empty() {
            return Answer::failed(libc::EINVAL, None);
        }
        if !writable(call.fildes) {
            return Answer::failed(libc::EBADF, None);
        }
        let socket = match what(call.fildes) {
            Some(What::Socket { .. }) => true,
            Some(What::Regular) => false,
            _ => return Answer::failed(libc::EINVAL, None),
        };
        let mut pass = machine.pass(call.fildes);
        let result = call.vec.chunks(ROUND).try_for_each(|round| {
            let total: u64 = round.iter().map(|entry| entry.length() as u64).sum();
            let whole = socket && total <= SMALL;
            run(make, &mut pass, round, whole)
        });
        let sent = size_t::try_from(pass.sent).unwrap();
        match result {
            Ok(()) => Answer::stale(isize::try_from(sent).unwrap(), sent),
            Err(errno) => {
                if errno == libc::EPIPE {
                    raise_sigpipe();
                }
                Answer::failed(errno, Some(sent))
            }
        }
    })
}

fn run(make: Make, pass: &mut Pass<'_>, round: &[Entry], whole: bool) -> Result<(), i32> {
    if let Some(What::Socket { stream, connected }) = what(pass.out()) {
        if !stream {
            return Err(libc::EPROTOTYPE);
        }
        if !connected {
            return Err(libc::ENOTCONN);
        }
    }
    let mut gathered = Vec::new();
    for entry in round {
        match *entry {
            Entry::Memory(ref bytes) if bytes.is_empty() => return Err(libc::EINVAL),
            Entry::Memory(ref bytes) if whole => gathered.extend_from_slice(bytes),
            Entry::Memory(ref bytes) => pass.put(bytes).map_err(Stop::errno)?,
            Entry::File { fd, flag, offset, length } => {
                if !readable(fd) {
                    return Err(if whole { libc::EACCES } else { libc::EBADF });
                }
                let past = isize::try_from(length).is_err();
                if what(fd) != Some(What::Regular) || flag != 0 || offset < 0 || length == 0 || past {
                    return Err(libc::EINVAL);
                }
                let there = if whole {
                    let before = gathered.len();
                    gathered.resize(before + length, 0);
                    let n = pass.read(fd, &mut gathered[before..], offset).map_err(Stop::errno)?;
                    gathered.truncate(before + n);
                    n as u64
                } else {
                    pass.put_file(fd, offset, length as u64).map_err(Stop::errno)?
                };
                if there < length as u64 && make == Make::Illumos {
                    return Err(libc::EINVAL);
                }
            }
        }
    }
    pass.put(&gathered).map_err(Stop::errno)
}
