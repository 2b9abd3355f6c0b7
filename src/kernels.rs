//! Every kernel of the family under one suite: the platform files of `sys` as they are, over emulated kernels
//! (`sys::fake`), and beside them the real one that the tests run on.

mod contract;
mod likeness;
mod partial;
mod resume;

use std::any::Any;
use std::cell::RefCell;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use crate::attempt::{attempt, Request, Tally};
use crate::sys::aix::Aix;
use crate::sys::apple::Apple;
use crate::sys::dragonfly::DragonFly;
use crate::sys::fake::machine::{Fate, Machine};
use crate::sys::fake::{self, solarish::Make};
use crate::sys::freebsd::FreeBsd;
use crate::sys::linux::Linux;
use crate::sys::solarish::Solarish;
use crate::sys::testing::shrink_buffers;
use crate::sys::unsupported::Unsupported;
use crate::sys::{posix, Call, Kernel, Native, Outcome};
use crate::testing::Temp;

/// A platform file and the kernel under it.
pub trait Subject {
    /// The platform file.
    type Kernel: Kernel + Default;
    /// A regular file whose size is 0 is empty: not so on Linux.
    const ZERO_TELLS: bool;
    /// The module of its tests.
    const MODULE: &'static str;
    /// Has the kernel answer this thread's calls, until what it returns is dropped.
    fn boot(machine: &Rc<Machine>) -> Box<dyn Any>;
}

macro_rules! subjects {
    ($($name:ident in $module:ident: $kernel:ty, $boot:expr;)*) => { $(
        struct $name;
        impl Subject for $name {
            type Kernel = $kernel;
            const ZERO_TELLS: bool = !<$kernel>::NULL_OFFSET;
            const MODULE: &'static str = stringify!($module);
            fn boot(machine: &Rc<Machine>) -> Box<dyn Any> {
                let boot: fn(&Rc<Machine>) -> Box<dyn Any> = $boot;
                boot(machine)
            }
        }
    )* };
}

subjects! {
    MacOs in macos: Apple, |machine| Box::new(fake::apple::boot(machine));
    FreeBsd14 in freebsd: FreeBsd, |machine| Box::new(fake::freebsd::boot(machine));
    DragonFly6 in dragonfly: DragonFly, |machine| Box::new(fake::dragonfly::boot(machine));
    Illumos in illumos: Solarish, |machine| Box::new(fake::solarish::boot(Make::Illumos, machine));
    Solaris in solaris: Solarish, |machine| Box::new(fake::solarish::boot(Make::Solaris, machine));
    Aix7 in aix: Aix, |machine| Box::new(fake::aix::boot(machine));
    EmulatedLinux in emulated_linux: Linux, |machine| Box::new(fake::linux::boot(machine));
    Nothing in unsupported: Unsupported, |_| Box::new(());
    Real in real: Native, |_| Box::new(());
}

/// A module of tests for each kernel, one test for each of these functions.
macro_rules! on_every_kernel {
    ($($case:ident),* $(,)?) => {
        crate::kernels::on_emulated_kernels!($($case),*);
        crate::kernels::on!(real Real $($case)*);
    };
}

/// The same, but for the real kernel, which does not do what it is told.
macro_rules! on_emulated_kernels {
    ($($case:ident),* $(,)?) => {
        crate::kernels::on!(macos MacOs $($case)*);
        crate::kernels::on!(freebsd FreeBsd14 $($case)*);
        crate::kernels::on!(dragonfly DragonFly6 $($case)*);
        crate::kernels::on!(illumos Illumos $($case)*);
        crate::kernels::on!(solaris Solaris $($case)*);
        crate::kernels::on!(aix Aix7 $($case)*);
        crate::kernels::on!(emulated_linux EmulatedLinux $($case)*);
    };
}

macro_rules! on {
    ($module:ident $subject:ident $($case:ident)*) => {
        mod $module { $( #[test] fn $case() { super::$case::<crate::kernels::$subject>(); } )* }
    };
}

use {on, on_emulated_kernels, on_every_kernel};

/// A platform file whose ordinary sends meet the machine's fates too, and to which a size of 0 says what it says on its
/// own system.
struct Fated<K> {
    kernel: K,
    machine: Rc<Machine>,
    zero_tells: bool,
}

impl<K: Kernel> Kernel for Fated<K> {
    const SYSCALL: Option<&'static str> = K::SYSCALL;
    const MAX: u64 = K::MAX;
    const FLAGS: bool = K::FLAGS;
    const VECTORED: bool = K::VECTORED;
    const NULL_OFFSET: bool = K::NULL_OFFSET;
    const CLAMP: bool = K::CLAMP;

    fn sendfile(&self, call: &Call<'_>) -> Outcome {
        self.kernel.sendfile(call)
    }

    fn send(&self, out: BorrowedFd<'_>, buffers: &[&[u8]], more: bool) -> Outcome {
        let length = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        let (sent, errno) = self.machine.limit(out.as_raw_fd(), length, |allowed| {
            let mut left = usize::try_from(allowed).unwrap();
            let cut: Vec<&[u8]> = buffers
                .iter()
                .map(|buffer| {
                    let n = left.min(buffer.len());
                    left -= n;
                    &buffer[..n]
                })
                .collect();
            let outcome = posix::send(out, &cut, more);
            (outcome.sent, outcome.errno)
        });
        Outcome::partial(sent, errno)
    }

    fn size(&self, input: BorrowedFd<'_>) -> Result<Option<u64>, i32> {
        let status = posix::status(input)?;
        if self.zero_tells && status.kind == posix::Kind::Regular {
            return Ok(Some(status.size));
        }
        self.kernel.size(input)
    }
}

/// A request as the tests write it down.
#[derive(Clone, Copy)]
struct Ask<'a> {
    offset: Option<u64>,
    nbytes: Option<u64>,
    headers: &'a [&'a [u8]],
    trailers: &'a [&'a [u8]],
    flags: i32,
}

/// The whole file and nothing else.
const ALL: Ask<'_> = Ask { offset: Some(0), nbytes: None, headers: &[], trailers: &[], flags: 0 };

/// The same between "head" and "tail".
const FRAMED: Ask<'_> = Ask { headers: &[b"he", b"ad"], trailers: &[b"ta", b"", b"il"], ..ALL };

/// A kernel, a file, and a socket.
struct Rig<S: Subject> {
    kernel: Fated<S::Kernel>,
    machine: Rc<Machine>,
    file: Temp,
    input: File,
    out: UnixStream,
    peer: UnixStream,
    got: RefCell<Vec<u8>>,
    _booted: Box<dyn Any>,
}

impl<S: Subject> Rig<S> {
    fn new(contents: &[u8]) -> Self {
        Self::fated(contents, [])
    }

    fn fated(contents: &[u8], fates: impl IntoIterator<Item = Fate>) -> Self {
        let machine = Rc::new(Machine::fated(fates));
        let (kernel, zero_tells) = (S::Kernel::default(), S::ZERO_TELLS);
        let kernel = Fated { kernel, machine: Rc::clone(&machine), zero_tells };
        let file = Temp::of(contents);
        let input = file.open();
        let (out, peer) = UnixStream::pair().unwrap();
        out.set_nonblocking(true).unwrap();
        peer.set_nonblocking(true).unwrap();
        let booted = S::boot(&machine);
        Self { kernel, machine, file, input, out, peer, got: RefCell::default(), _booted: booted }
    }

    /// With the smallest buffers that the socket can have.
    fn narrow(self) -> Self {
        shrink_buffers(&self.out);
        shrink_buffers(&self.peer);
        self
    }

    fn attempt(&self, ask: &Ask<'_>) -> Tally {
        self.between(&self.out, &self.input, ask)
    }

    fn between(&self, out: &impl AsFd, input: &impl AsFd, ask: &Ask<'_>) -> Tally {
        let &Ask { offset, nbytes, headers, trailers, flags } = ask;
        let (out, input) = (out.as_fd(), input.as_fd());
        attempt(&self.kernel, &Request { out, input, offset, nbytes, headers, trailers, flags, sized: false })
    }

    fn call(&self, offset: Option<u64>, nbytes: u64) -> Outcome {
        let (out, input) = (self.out.as_fd(), self.input.as_fd());
        let call = Call { out, input, offset, nbytes, headers: &[], flags: 0 };
        self.kernel.sendfile(&call)
    }

    /// Has the peer read so many bytes, or as many as there are: how many they were.
    fn drain(&self, most: usize) -> usize {
        let mut got = self.got.borrow_mut();
        let before = got.len();
        let mut buffer = [0; 4096];
        while got.len() - before < most {
            let wanted = buffer.len().min(most - (got.len() - before));
            match (&self.peer).read(&mut buffer[..wanted]) {
                Ok(0) => break,
                Ok(n) => got.extend_from_slice(&buffer[..n]),
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) => panic!("{err}"),
            }
        }
        got.len() - before
    }

    /// All that the peer has got.
    fn received(&self) -> Vec<u8> {
        self.drain(usize::MAX);
        self.got.borrow().clone()
    }

    fn position(&self) -> u64 {
        (&self.input).stream_position().unwrap()
    }

    fn seek(&self, position: u64) {
        (&self.input).seek(SeekFrom::Start(position)).unwrap();
    }
}
