//! Stand-ins for the foreign kernels, so that every platform file runs under test on Linux.
//!
//! Each module bears the names and signatures that the libc crate has for its target. A call is read the way a kernel
//! reads it (what pointers point at is copied in), noted, and handed to the script that the calling thread has
//! installed; the answer says what to return, which errno to leave and which count to write, if any. A script is any
//! closure: it may answer by heart, or do the work on the descriptors that it is given. The latter is what a module's
//! `boot` installs: an emulated kernel, with that kernel's checks, counts and bugs, over real sockets and files.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::LocalKey;

use super::Call;
use crate::testing::Temp;

pub mod aix;
pub mod apple;
pub mod dragonfly;
pub mod freebsd;
pub mod freebsdlike;
pub mod linux;
pub mod machine;
pub mod solarish;

/// What a kernel does at the end of a call.
#[derive(Clone, Copy, Debug)]
pub struct Answer<N> {
    /// The call's return value.
    pub returns: isize,
    /// The errno left behind; a successful call may leave an old one.
    pub errno: i32,
    /// The count written; `None` leaves the caller's variable as it was.
    pub count: Option<N>,
}

impl<N> Answer<N> {
    /// The call returns `returns` and writes a count.
    pub fn done(returns: isize, count: N) -> Self {
        Self { returns, errno: 0, count: Some(count) }
    }

    /// The call returns `returns`, writes a count and leaves an errno of long ago, as calls may.
    pub fn stale(returns: isize, count: N) -> Self {
        Self { returns, errno: libc::EIO, count: Some(count) }
    }

    /// The call returns -1 and may write a count all the same.
    pub fn failed(errno: i32, count: Option<N>) -> Self {
        Self { returns: -1, errno, count }
    }
}

/// A script and the calls it has answered.
pub struct Stage<C, A> {
    script: Box<dyn FnMut(&C) -> A>,
    calls: Vec<C>,
}

/// The place of one fake call's script, one per thread.
pub type Slot<C, A> = RefCell<Option<Stage<C, A>>>;

/// A script at work on this thread, until it is dropped.
#[must_use]
pub struct Installed<C: 'static, A: 'static> {
    slot: &'static LocalKey<Slot<C, A>>,
}

impl<C: Clone, A> Installed<C, A> {
    /// The calls so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<C> {
        self.slot.with_borrow(|stage| stage.as_ref().map_or_else(Vec::new, |stage| stage.calls.clone()))
    }
}

impl<C, A> Drop for Installed<C, A> {
    fn drop(&mut self) {
        self.slot.take();
    }
}

fn install<C, A>(
    slot: &'static LocalKey<Slot<C, A>>,
    script: impl FnMut(&C) -> A + 'static,
) -> Installed<C, A> {
    slot.set(Some(Stage { script: Box::new(script), calls: Vec::new() }));
    Installed { slot }
}

fn answer<C, A>(slot: &'static LocalKey<Slot<C, A>>, call: C) -> A {
    slot.with_borrow_mut(|stage| {
        let stage = stage.as_mut().expect("no script for this call on this thread");
        let answer = (stage.script)(&call);
        stage.calls.push(call);
        answer
    })
}

fn is_installed<C, A>(slot: &'static LocalKey<Slot<C, A>>) -> bool {
    slot.with_borrow(Option::is_some)
}

fn leave_errno(errno: i32) {
    // SAFETY: the address is the calling thread's own errno.
    unsafe { *errno_location() = errno };
}

#[cfg(target_os = "aix")]
use libc::_Errno as errno_location;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
use libc::___errno as errno_location;
#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno_location;
#[cfg(any(target_os = "linux", target_os = "dragonfly"))]
use libc::__errno_location as errno_location;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
use libc::__error as errno_location;

/// A file and a connected stream to send it over.
pub struct Bench {
    /// The end that is sent to.
    pub out: UnixStream,
    /// The end that receives.
    pub peer: UnixStream,
    /// The file.
    pub input: File,
}

impl Bench {
    /// A new pair of sockets and a new file with these contents.
    #[must_use]
    pub fn new(contents: &[u8]) -> Self {
        let (out, peer) = UnixStream::pair().unwrap();
        let input = Temp::of(contents).open();
        Self { out, peer, input }
    }

    /// A request for file bytes alone.
    #[must_use]
    pub fn call(&self, offset: u64, nbytes: u64) -> Call<'_> {
        Call {
            out: self.out.as_fd(),
            input: self.input.as_fd(),
            offset: Some(offset),
            nbytes,
            headers: &[],
            flags: 0,
        }
    }
}

#[path = "fake/tests.rs"]
mod tests;
