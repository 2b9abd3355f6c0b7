//! The engine under a scheduler that decides at every lock, wait and wake-up which thread goes on, thousands of times
//! anew: `RUSTFLAGS="--cfg shuttle" cargo test --no-default-features schedules`.
//!
//! Everything is the product's own but the poller, which has to wait by the scheduler's rules. Files and sockets are
//! real; no call on them blocks. A failure prints its schedule, which `shuttle::replay` repeats.

mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic;
use std::sync::{Arc, LockResult, PoisonError, Weak};
use std::time::Duration;

use shuttle::rand::Rng;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Condvar as Bell, Mutex, MutexGuard};

use crate::sys::testing::is_writable;

/// One execution: all its threads are one to the system, so that this needs no lock.
#[derive(Default)]
struct World {
    /// No more work comes: every wait ends.
    over: Cell<bool>,
    threads: Cell<usize>,
    most: Cell<usize>,
    bells: RefCell<Vec<Weak<Bell>>>,
}

thread_local! {
    static WORLD: World = World::default();
}

/// What the poller's wait ends with once the world is over: the product's leaders wait for ever.
struct Over;

fn over() -> bool {
    WORLD.with(|world| world.over.get())
}

fn bell() -> Arc<Bell> {
    let bell = Arc::new(Bell::new());
    WORLD.with(|world| world.bells.borrow_mut().push(Arc::downgrade(&bell)));
    bell
}

/// Begins an execution.
pub fn begin() {
    WORLD.with(|world| {
        world.over.set(false);
        world.threads.set(0);
        world.most.set(0);
        world.bells.borrow_mut().clear();
    });
}

/// Lets all patience end, and waits for the engine's threads to leave. The most that there were.
pub fn end() -> usize {
    WORLD.with(|world| world.over.set(true));
    while WORLD.with(|world| world.threads.get()) > 0 {
        let bells = WORLD.with(|world| world.bells.borrow().clone());
        for bell in bells.iter().filter_map(Weak::upgrade) {
            bell.notify_all();
        }
        shuttle::thread::yield_now();
    }
    WORLD.with(|world| world.most.get())
}

/// Threads that are counted.
pub mod thread {
    use super::{io, panic, Over, WORLD};

    pub use shuttle::thread::yield_now;

    pub struct Builder;

    impl Builder {
        pub fn new() -> Self {
            Self
        }

        pub fn name(self, _: String) -> Self {
            self
        }

        pub fn stack_size(self, _: usize) -> Self {
            self
        }

        pub fn spawn(self, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
            WORLD.with(|world| {
                world.threads.set(world.threads.get() + 1);
                world.most.set(world.most.get().max(world.threads.get()));
            });
            shuttle::thread::spawn(|| {
                let end = panic::catch_unwind(panic::AssertUnwindSafe(run));
                WORLD.with(|world| world.threads.set(world.threads.get() - 1));
                match end {
                    Err(cause) if !cause.is::<Over>() => panic::resume_unwind(cause),
                    _ => {}
                }
            });
            Ok(())
        }
    }
}

/// A condition variable whose patience may end at any time.
pub struct Condvar(Arc<Bell>);

/// How a wait ended.
pub struct Waited(bool);

impl Waited {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self(bell())
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, Waited)> {
        if over() {
            return Ok((guard, Waited(true)));
        }
        let late = Arc::new(AtomicBool::new(false));
        if shuttle::rand::thread_rng().gen_ratio(1, 4) {
            let (late, bell) = (Arc::clone(&late), Arc::clone(&self.0));
            shuttle::thread::spawn(move || {
                late.store(true, Ordering::SeqCst);
                bell.notify_all();
            });
        }
        let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        Ok((guard, Waited(over() || late.load(Ordering::SeqCst))))
    }
}

/// See the product's.
#[derive(Default)]
pub struct Ready;

impl Ready {
    pub fn new() -> Self {
        Self
    }
}

struct Watched {
    socket: OwnedFd,
    number: i32,
    key: Option<usize>,
}

/// Knows a descriptor by its number, as epoll does, and tells of it once a watch.
pub struct WritePoller {
    known: Mutex<Vec<Watched>>,
    bell: Arc<Bell>,
}

impl WritePoller {
    pub fn new() -> io::Result<Self> {
        Ok(Self { known: Mutex::new(Vec::new()), bell: bell() })
    }

    fn known(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn watch(&self, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let number = socket.as_raw_fd();
        let mut known = self.known();
        if known.iter().any(|watched| watched.number == number) {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        known.push(Watched { socket: socket.try_clone_to_owned()?, number, key: Some(key) });
        self.bell.notify_all();
        Ok(())
    }

    pub fn watch_again(&self, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let number = socket.as_raw_fd();
        let mut known = self.known();
        let Some(watched) = known.iter_mut().find(|watched| watched.number == number) else {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        };
        watched.key = Some(key);
        self.bell.notify_all();
        Ok(())
    }

    pub fn forget(&self, socket: BorrowedFd<'_>) {
        use std::os::fd::AsRawFd;
        let number = socket.as_raw_fd();
        self.known().retain(|watched| watched.number != number);
    }

    /// Something may have become writable.
    pub fn look(&self) {
        drop(self.known());
        self.bell.notify_all();
    }

    pub fn wait(&self, _: &mut Ready, mut each: impl FnMut(usize)) -> io::Result<()> {
        let mut known = self.known();
        loop {
            if over() {
                drop(known);
                panic::resume_unwind(Box::new(Over));
            }
            let mut ready = 0;
            for watched in known.iter_mut().filter(|watched| watched.key.is_some()) {
                if ready < 2 && is_writable(&watched.socket) {
                    watched.key.take().map(&mut each);
                    ready += 1;
                }
            }
            if ready > 0 {
                return Ok(());
            }
            known = self.bell.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
