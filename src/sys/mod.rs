//! The boundary to the operating system.
//!
//! Each platform file holds one unit struct that implements [`Kernel`]. What every implementation MUST hold:
//!
//! * [`Kernel::sendfile`] is one call to the kernel: no loop, no retry, no waiting of its own.
//! * It returns plain data: the bytes that went out *and* the errno that came with them. A count is never dropped
//!   because of an errno, and never believed where the kernel does not write it.
//! * `EWOULDBLOCK` reads `EAGAIN`.
//! * It never sends more file bytes than [`Call::nbytes`].
//!
//! Everything above this module is the same on every OS. Adding an OS is one file and one arm of the ladder below.

#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

pub mod cache;
mod mounts;
pub mod open;
pub mod poll;
pub mod posix;
pub mod signal;

/// One request to the kernel's sendfile.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Where the bytes go.
    pub out: BorrowedFd<'a>,
    /// The file the bytes come from.
    pub input: BorrowedFd<'a>,
    /// Where to start in the file; `None` is the file's own position, and is passed only where
    /// [`Kernel::NULL_OFFSET`] says so.
    pub offset: Option<u64>,
    /// File bytes wanted: at most [`Kernel::MAX`], and never 0.
    pub nbytes: u64,
    /// Bytes to send before the file: empty unless [`Kernel::VECTORED`] is set. No slice of it is empty.
    pub headers: &'a [&'a [u8]],
    /// The OS's own flags: 0 unless [`Kernel::FLAGS`] is set.
    pub flags: i32,
}

/// What one call did: how many bytes went out, and the errno that came with it (0 for none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes put on the output by this call.
    pub sent: u64,
    /// The kernel's errno, 0 for none. It may stand beside a count.
    pub errno: i32,
}

impl Outcome {
    /// Bytes went out and the kernel had no complaint.
    #[must_use]
    pub const fn sent(sent: u64) -> Self {
        Self { sent, errno: 0 }
    }

    /// Nothing went out.
    #[must_use]
    pub const fn failed(errno: i32) -> Self {
        Self { sent: 0, errno: plain(errno) }
    }

    /// A count with the errno that came beside it.
    #[must_use]
    pub const fn partial(sent: u64, errno: i32) -> Self {
        Self { sent, errno: plain(errno) }
    }
}

/// `EWOULDBLOCK` under its first name: POSIX lets the two differ.
const fn plain(errno: i32) -> i32 {
    if errno == libc::EWOULDBLOCK {
        libc::EAGAIN
    } else {
        errno
    }
}

/// A kernel's sendfile, and the few ordinary calls that stand around it.
///
/// The ordinary calls have one body for every Unix; they are methods so that tests can script them.
pub trait Kernel {
    /// The system call behind [`Kernel::sendfile`], as its man page names it; `None` where there is none.
    const SYSCALL: Option<&'static str>;
    /// The most file bytes that one call may ask for.
    const MAX: u64;
    /// Flags other than 0 are passed to the kernel.
    const FLAGS: bool = false;
    /// Headers go out with the same call.
    const VECTORED: bool = false;
    /// The kernel can read from the file's own position and move it.
    const NULL_OFFSET: bool = false;
    /// Asking for more than the file holds is an error, so the length has to be cut first.
    const CLAMP: bool = false;
    /// The flags that callers may pass, by the names of the OS's headers.
    const CONSTANTS: &'static [(&'static str, i32)] = &[];
    /// A transfer that may choose copies through user space instead.
    const PREFER_COPY: bool = false;

    /// One call to the kernel. See the module's contract.
    fn sendfile(&self, call: &Call<'_>) -> Outcome;

    /// Sends buffers in one call: sendmsg(2), or writev(2) where the output is no socket. `more` promises that
    /// further bytes follow at once.
    fn send(&self, out: BorrowedFd<'_>, buffers: &[&[u8]], more: bool) -> Outcome {
        posix::send(out, buffers, more)
    }

    /// Pushes out what a broken promise of `more` holds back.
    fn flush(&self, out: BorrowedFd<'_>) {
        posix::flush(out);
    }

    /// The size of a regular file; `None` for anything whose size says nothing (pipes, devices, files of /proc).
    ///
    /// # Errors
    /// The errno of fstat(2).
    fn size(&self, input: BorrowedFd<'_>) -> Result<Option<u64>, i32> {
        posix::size(input)
    }

    /// The file's own position, from lseek(2).
    ///
    /// # Errors
    /// The errno of lseek(2): `ESPIPE` for a pipe or socket.
    fn position(&self, input: BorrowedFd<'_>) -> Result<u64, i32> {
        posix::position(input)
    }

    /// Moves the file's own position, by lseek(2).
    ///
    /// # Errors
    /// The errno of lseek(2).
    fn seek(&self, input: BorrowedFd<'_>, position: u64) -> Result<(), i32> {
        posix::seek(input, position)
    }

    /// Reads from the file at `offset` without moving its position: pread(2).
    fn pread(&self, input: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Outcome {
        posix::pread(input, buffer, offset)
    }

    /// Checks what the kernel would find out at the first byte of the file: for calls that send none, or other bytes
    /// before it.
    ///
    /// # Errors
    /// `EBADF` for an fd that is closed or open the wrong way; `EINVAL` for an output that takes no sendfile.
    fn check_modes(&self, out: BorrowedFd<'_>, input: BorrowedFd<'_>) -> Result<(), i32> {
        posix::check_modes(out, input)
    }
}

// The ladder. Under test every platform file is compiled, against the kernels of `fake`.
macro_rules! platform {
    ($module:ident, $kernel:ident, $os:meta) => {
        #[cfg(any(test, $os))]
        pub mod $module;
        #[cfg($os)]
        pub use $module::$kernel as Native;
    };
}

platform!(linux, Linux, any(target_os = "linux", target_os = "android"));
platform!(apple, Apple, target_os = "macos");
platform!(freebsd, FreeBsd, target_os = "freebsd");
platform!(dragonfly, DragonFly, target_os = "dragonfly");
platform!(solarish, Solarish, any(target_os = "illumos", target_os = "solaris"));
platform!(aix, Aix, target_os = "aix");
platform!(
    unsupported,
    Unsupported,
    not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "illumos",
        target_os = "solaris",
        target_os = "aix"
    ))
);

#[cfg(test)]
pub mod fake;
#[cfg(test)]
pub mod testing;
