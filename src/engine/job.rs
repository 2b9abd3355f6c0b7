//! A job of the engine: its state, who has it, and who hears of its end.

use std::ffi::CString;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use super::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, Ordering, WritePoller};
use super::{lock, Owned};
use crate::sys::open::Source;
use crate::sys::posix;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All bytes are out; the descriptor is writable; the file is open.
    Done,
    /// The kernel's errno.
    Failed(i32),
    /// The file cannot be read: the kernel's errno.
    Unreadable(i32),
    /// The file ended before the promised length.
    Truncated,
    /// The system can watch no further socket, with its errno: somebody else must go on from here.
    Refused(i32),
    /// [`super::Engine::cancel`] came first.
    Cancelled,
}

/// What a sink hears: numbers only, so that a report which nobody takes leaks nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The job.
    pub id: usize,
    /// How it ended.
    pub end: End,
    /// Bytes on the socket: head, file and tail.
    pub sent: u64,
    /// Attempts made.
    pub calls: u32,
    /// Times that the socket was full.
    pub waits: u32,
    /// The bytes went through user space.
    pub copied: bool,
    /// The errno by which the kernel refused its own way, 0 if it did not.
    pub refusal: i32,
}

/// Hears of the end of jobs, on any thread.
pub trait Sink: Send + Sync {
    /// A job is over. Called once a job, with no lock of the engine held.
    fn done(&self, report: Report);
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on the socket: head, file and tail.
    pub sent: u64,
    /// Milliseconds since the last of them, or since the start.
    pub idle_ms: u64,
    /// Times that it has waited for its socket.
    pub waits: u32,
}

/// What came of cancelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is over, with so many bytes on the socket. Its sink hears nothing.
    Now(u64),
    /// It is running: its sink will hear.
    Soon,
    /// There is no such job: it is over, and its sink has heard or hears just now.
    Unknown,
}

/// A descriptor that the poller may know: it is taken from the poller before it is closed.
pub struct Watch {
    fd: OwnedFd,
    poller: Arc<WritePoller>,
    known: AtomicBool,
}

impl Watch {
    pub(super) fn new(fd: OwnedFd, poller: Arc<WritePoller>) -> Self {
        Self { fd, poller, known: AtomicBool::new(false) }
    }

    fn arm(&self, key: usize) -> std::io::Result<()> {
        if self.known.load(Ordering::Relaxed) {
            return self.poller.watch_again(self.fd.as_fd(), key);
        }
        self.poller.watch(self.fd.as_fd(), key)?;
        self.known.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if *self.known.get_mut() {
            self.poller.forget(self.fd.as_fd());
        }
    }
}

/// What there is to do.
pub(super) enum Work {
    Transfer(Box<Owned>),
    Writable(Arc<Watch>),
    Open(CString),
    Close(Arc<OwnedFd>),
}

impl Work {
    fn socket(&self) -> Option<&Arc<Watch>> {
        match self {
            Self::Transfer(transfer) => Some(transfer.out()),
            Self::Writable(out) => Some(out),
            Self::Open(_) | Self::Close(_) => None,
        }
    }

    fn sent(&self) -> u64 {
        match self {
            Self::Transfer(transfer) => transfer.sent(),
            _ => 0,
        }
    }
}

/// Who has the work.
pub(super) enum Phase {
    /// The poller, or the crew's queue.
    Idle(Work),
    /// A thread. The socket stays reachable, so that it can be ended under it.
    Running(Option<Arc<Watch>>),
    /// Nobody: a file waits to be fetched.
    Opened(Source),
    /// Nobody.
    Over,
}

impl Phase {
    /// Stands where an errno would: the job was cancelled meanwhile.
    pub(super) const CANCELLED: i32 = libc::ECANCELED;
}

pub(super) struct Job {
    pub(super) id: usize,
    pub(super) owner: u64,
    pub(super) sink: Arc<dyn Sink>,
    phase: Mutex<Phase>,
    cancelled: AtomicBool,
    waits: AtomicU32,
    sent: AtomicU64,
    moved_ms: AtomicU64,
}

/// Milliseconds on a clock that only goes forward.
fn now_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Job {
    pub(super) fn new(id: usize, owner: u64, sink: Arc<dyn Sink>, sent: u64) -> Self {
        Self {
            id,
            owner,
            sink,
            phase: Mutex::new(Phase::Running(None)),
            cancelled: AtomicBool::new(false),
            waits: AtomicU32::new(0),
            sent: AtomicU64::new(sent),
            moved_ms: AtomicU64::new(now_ms()),
        }
    }

    /// Takes the work for the calling thread; `None` if another has it or nobody needs it any more.
    pub(super) fn begin(&self) -> Option<Work> {
        let mut phase = lock(&self.phase);
        match mem::replace(&mut *phase, Phase::Over) {
            Phase::Idle(work) => {
                *phase = Phase::Running(work.socket().cloned());
                Some(work)
            }
            other => {
                *phase = other;
                None
            }
        }
    }

    /// Gives the work to the poller.
    ///
    /// The poller may answer on another thread before this returns: the lock makes that thread wait.
    pub(super) fn wait(&self, work: Work) -> Result<(), (Work, i32)> {
        let mut phase = lock(&self.phase);
        if self.is_cancelled() {
            return Err((work, Phase::CANCELLED));
        }
        let armed = work.socket().map_or(Ok(()), |socket| socket.arm(self.id));
        match armed {
            Ok(()) => {
                *phase = Phase::Idle(work);
                Ok(())
            }
            Err(error) => Err((work, error.raw_os_error().unwrap_or(libc::EIO))),
        }
    }

    /// Leaves the work for a thread of the crew.
    pub(super) fn queue(&self, work: Work) -> Result<(), Work> {
        let mut phase = lock(&self.phase);
        if self.is_cancelled() {
            return Err(work);
        }
        *phase = Phase::Idle(work);
        Ok(())
    }

    /// Keeps an opened file until it is fetched. `false`: nobody will.
    pub(super) fn keep(&self, source: Source) -> bool {
        let mut phase = lock(&self.phase);
        if self.is_cancelled() {
            *phase = Phase::Over;
            return false;
        }
        *phase = Phase::Opened(source);
        true
    }

    pub(super) fn take_opened(&self) -> Option<Source> {
        let mut phase = lock(&self.phase);
        match mem::replace(&mut *phase, Phase::Over) {
            Phase::Opened(source) => Some(source),
            other => {
                *phase = other;
                None
            }
        }
    }

    pub(super) fn cancel(&self, hang_up: bool) -> Cancelled {
        let mut phase = lock(&self.phase);
        self.cancelled.store(true, Ordering::Release);
        match mem::replace(&mut *phase, Phase::Over) {
            Phase::Idle(work) => Cancelled::Now(work.sent()),
            Phase::Running(socket) => {
                if let (true, Some(socket)) = (hang_up, &socket) {
                    posix::shutdown(socket.as_fd());
                }
                *phase = Phase::Running(socket);
                Cancelled::Soon
            }
            other => {
                *phase = other;
                Cancelled::Unknown
            }
        }
    }

    /// A thread has it.
    pub(super) fn is_running(&self) -> bool {
        matches!(*lock(&self.phase), Phase::Running(_))
    }

    /// Lets go of the socket.
    pub(super) fn close(&self) {
        *lock(&self.phase) = Phase::Over;
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(super) fn note(&self, sent: u64) {
        if self.sent.swap(sent, Ordering::Relaxed) != sent {
            self.moved_ms.store(now_ms(), Ordering::Relaxed);
        }
    }

    pub(super) fn waited(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            sent: self.sent.load(Ordering::Relaxed),
            idle_ms: now_ms().saturating_sub(self.moved_ms.load(Ordering::Relaxed)),
            waits: self.waits.load(Ordering::Relaxed),
        }
    }

    pub(super) fn report(&self, work: Option<&Work>, end: End) -> Report {
        let waits = self.waits.load(Ordering::Relaxed);
        let plain = Report { id: self.id, end, sent: 0, calls: 0, waits, copied: false, refusal: 0 };
        match work {
            Some(Work::Transfer(transfer)) => Report {
                sent: transfer.sent(),
                calls: transfer.calls(),
                copied: transfer.copies(),
                refusal: transfer.refusal(),
                ..plain
            },
            _ => plain,
        }
    }
}
