//! Runs transfers: waits for sockets to take bytes again, and does each transfer's steps on threads of its own.
//!
//! A few threads take turns as leader: one waits at the poller, hands the lead on, does the step of the transfer that
//! became ready, and queues up for the lead again. Leaders do only steps whose bytes are in memory. A step that would
//! wait for a disk goes to the crew, a set of threads that grows on demand and shrinks when idle: a slow disk stalls
//! nobody but its own transfers.
//!
//! Every job is in one of four states, kept under its own lock: waiting (the poller has it), queued (the crew has it),
//! running (a thread has it) and over. Whoever moves it to over drops its descriptors and reports it, once.

mod crew;
mod job;
mod sync;

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, PoisonError};

use crate::sys::cache::Residency;
use crate::sys::open::{self, Source};
use crate::sys::{posix, signal, Native};
use crate::transfer::{Step, Transfer};

use crew::Crew;
pub use job::{Cancelled, End, Progress, Report, Sink};
use job::{Job, Phase, Watch, Work};
use sync::{thread, AtomicUsize, Mutex, MutexGuard, Ordering, Ready, WritePoller};

/// A transfer that owns its descriptors.
pub type Owned = Transfer<Arc<Watch>, Arc<OwnedFd>>;

/// File bytes of a step whose bytes are known to be in memory.
const HOT_WINDOW: u64 = 1024 * 1024;
/// Such steps in a row: the turn of one transfer before the next, if its socket takes as much.
const WINDOWS: usize = 4;
/// File bytes of a step that may wait for a disk.
const COLD_WINDOW: u64 = 128 * 1024;
/// Threads for steps that wait for a disk.
const CREW_MAX: usize = 32;
const STACK: usize = 256 * 1024;

/// No environment's number.
const NOBODY: u64 = 0;

/// Hears nothing.
struct Deaf;

impl Sink for Deaf {
    fn done(&self, _: Report) {}
}

/// The engine. One serves the whole process.
pub struct Engine {
    poller: Arc<WritePoller>,
    lead: Mutex<Ready>,
    leaders: Mutex<usize>,
    leaders_max: usize,
    crew: Crew,
    jobs: Mutex<HashMap<usize, Arc<Job>>>,
    next: AtomicUsize,
}

/// How a new transfer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The socket is full, or nobody has asked yet.
    WhenWritable,
    /// Its first bytes have to be fetched from a disk.
    Cold,
}

impl Engine {
    /// An engine of at most `threads` threads, 0 for the usual number. It starts none before there is work.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`: the poller takes three descriptors.
    pub fn new(threads: usize) -> io::Result<Arc<Self>> {
        let leaders = if threads == 0 || threads > 3 { 2 } else { 1 };
        let crew = if threads == 0 { CREW_MAX } else { (threads - leaders).min(CREW_MAX) };
        Ok(Arc::new(Self {
            poller: Arc::new(WritePoller::new()?),
            lead: Mutex::new(Ready::new()),
            leaders: Mutex::new(0),
            leaders_max: leaders,
            crew: Crew::new(crew),
            jobs: Mutex::new(HashMap::new()),
            next: AtomicUsize::new(1),
        }))
    }

    /// A second descriptor of a socket, which the poller can watch.
    ///
    /// # Errors
    /// `EBADF`, `EMFILE`.
    pub fn hold(&self, socket: BorrowedFd<'_>) -> Result<Arc<Watch>, i32> {
        Ok(Arc::new(Watch::new(posix::duplicate(socket)?, Arc::clone(&self.poller))))
    }

    /// Takes a transfer over. `owner` is whose it is, `sink` hears of its end.
    ///
    /// # Errors
    /// The errno by which no thread could be started; the transfer is dropped, and its descriptors closed.
    pub fn transfer(
        self: &Arc<Self>,
        owner: u64,
        sink: Arc<dyn Sink>,
        transfer: Owned,
        begin: Begin,
    ) -> Result<usize, i32> {
        self.staff()?;
        let sent = transfer.sent();
        let job = self.admit(owner, sink, sent);
        let id = job.id;
        let mut work = Work::Transfer(Box::new(transfer));
        if begin == Begin::Cold {
            match self.hand_over(&job, work) {
                Ok(()) => return Ok(id),
                Err(back) => work = back,
            }
        }
        self.watch(&job, work);
        Ok(id)
    }

    /// Waits until a descriptor takes bytes.
    ///
    /// # Errors
    /// The errno by which no thread could be started.
    pub fn writable(
        self: &Arc<Self>,
        owner: u64,
        sink: Arc<dyn Sink>,
        out: Arc<Watch>,
    ) -> Result<usize, i32> {
        self.staff()?;
        let job = self.admit(owner, sink, 0);
        let id = job.id;
        self.watch(&job, Work::Writable(out));
        Ok(id)
    }

    /// Opens a path on a thread that may wait for it; [`Engine::opened`] has the file once the sink has heard.
    ///
    /// # Errors
    /// The errno by which no thread could be started.
    pub fn open(self: &Arc<Self>, owner: u64, sink: Arc<dyn Sink>, path: CString) -> Result<usize, i32> {
        let job = self.admit(owner, sink, 0);
        let id = job.id;
        match self.hand_over(&job, Work::Open(path)) {
            Ok(()) => Ok(id),
            Err(_) => {
                self.jobs().remove(&id);
                Err(libc::EAGAIN)
            }
        }
    }

    /// The file that an [`Engine::open`] has opened: once.
    pub fn opened(&self, id: usize) -> Option<Source> {
        let job = self.jobs().get(&id).cloned()?;
        let source = job.take_opened()?;
        self.jobs().remove(&id);
        Some(source)
    }

    /// Closes a file that is not known to be local: its file system may have somebody to ask first, and whoever closes
    /// it waits for that.
    pub fn close(self: &Arc<Self>, file: Arc<OwnedFd>) {
        let job = self.admit(NOBODY, Arc::new(Deaf), 0);
        if self.hand_over(&job, Work::Close(file)).is_err() {
            // There is no other thread: it is closed here.
            self.jobs().remove(&job.id);
        }
    }

    /// How far a job has come; `None` once it is over.
    pub fn progress(&self, id: usize) -> Option<Progress> {
        self.jobs().get(&id).map(|job| job.progress())
    }

    /// Ends a job. What is not on a thread just now is over at once, its descriptors closed, and its sink hears
    /// nothing; what is running ends after its step, and its sink hears of it. `hang_up` ends the socket itself, so
    /// that a running step returns and the peer sees the end at once.
    pub fn cancel(&self, id: usize, hang_up: bool) -> Cancelled {
        let Some(job) = self.jobs().get(&id).cloned() else {
            return Cancelled::Unknown;
        };
        let result = job.cancel(hang_up);
        if matches!(result, Cancelled::Now(_)) {
            self.jobs().remove(&id);
        }
        result
    }

    /// Ends all jobs of one owner. Their sink must not be used again after this.
    pub fn abandon(self: &Arc<Self>, owner: u64) {
        let ids: Vec<usize> =
            self.jobs().values().filter(|job| job.owner == owner).map(|job| job.id).collect();
        for id in ids {
            self.cancel(id, false);
            // A file that nobody will fetch.
            match self.opened(id) {
                Some(Source { fd, local: false, .. }) => self.close(Arc::new(fd)),
                local => drop(local),
            }
        }
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<usize, Arc<Job>>> {
        lock(&self.jobs)
    }

    fn admit(&self, owner: u64, sink: Arc<dyn Sink>, sent: u64) -> Arc<Job> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let job = Arc::new(Job::new(id, owner, sink, sent));
        self.jobs().insert(id, Arc::clone(&job));
        job
    }

    /// Makes sure that somebody waits at the poller.
    fn staff(self: &Arc<Self>) -> Result<(), i32> {
        let mut leaders = lock(&self.leaders);
        while *leaders < self.leaders_max {
            let engine = Arc::clone(self);
            match start("sendfile-lead", move || engine.lead()) {
                Ok(()) => *leaders += 1,
                // One leader is enough to go on.
                Err(_) if *leaders > 0 => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn lead(self: &Arc<Self>) {
        let mut keys = Vec::with_capacity(2);
        loop {
            keys.clear();
            let waited = self.poller.wait(&mut lock(&self.lead), |key| keys.push(key));
            if waited.is_err() {
                // Only a lack of kernel memory, which passes.
                thread::yield_now();
            }
            for &key in &keys {
                self.ready(key);
            }
        }
    }

    /// A watched descriptor takes bytes.
    fn ready(self: &Arc<Self>, id: usize) {
        self.take(id, |job, work| match work {
            Work::Transfer(mut transfer) => match window(&transfer) {
                Some(budget) => {
                    let mut step = transfer.step(&Native, budget);
                    for _ in 1..WINDOWS {
                        if step != Step::Again || job.is_cancelled() {
                            break;
                        }
                        let Some(budget) = window(&transfer) else { break };
                        job.note(transfer.sent());
                        step = transfer.step(&Native, budget);
                    }
                    self.after(job, transfer, step);
                }
                None => self.pass_on(job, Work::Transfer(transfer)),
            },
            work => self.finish(job, work, End::Done),
        });
    }

    /// A leader has met a step that might wait for a disk.
    fn pass_on(self: &Arc<Self>, job: &Arc<Job>, work: Work) {
        match self.hand_over(job, work) {
            Ok(()) => {}
            Err(work) if job.is_cancelled() => self.finish(job, work, End::Cancelled),
            // Without a crew the leaders wait for the disk themselves.
            Err(work) => self.labour(job, work),
        }
    }

    /// What a thread of the crew does with one job.
    fn toil(self: &Arc<Self>, id: usize) {
        self.take(id, |job, work| self.labour(job, work));
    }

    /// Takes a job, if it is to be had, and does this with it. Should that panic, it is the job that ends: whoever waits
    /// for it hears, and the thread goes on with the others'.
    fn take(&self, id: usize, run: impl FnOnce(&Arc<Job>, Work)) {
        let Some(job) = self.jobs().get(&id).cloned() else { return };
        let Some(work) = job.begin() else { return };
        if panic::catch_unwind(AssertUnwindSafe(|| run(&job, work))).is_err() && job.is_running() {
            let report = Report { sent: job.progress().sent, ..job.report(None, End::Failed(libc::EIO)) };
            self.over(&job, report);
        }
    }

    fn labour(self: &Arc<Self>, job: &Arc<Job>, work: Work) {
        match work {
            Work::Transfer(mut transfer) => {
                transfer.learn_place();
                let mut step = transfer.step(&Native, COLD_WINDOW);
                // Go on while nobody else needs this thread and the leaders must not have it.
                while step == Step::Again
                    && !job.is_cancelled()
                    && !self.crew.is_wanted()
                    && window(&transfer).is_none()
                {
                    job.note(transfer.sent());
                    step = transfer.step(&Native, COLD_WINDOW);
                }
                self.after(job, transfer, step);
            }
            Work::Open(path) => match open::open(&path) {
                Ok(source) => self.keep(job, source),
                Err(errno) => self.finish(job, Work::Open(path), End::Failed(errno)),
            },
            work @ Work::Writable(_) => self.watch(job, work),
            Work::Close(file) => {
                // For the next one of its mount.
                let _ = open::is_local(file.as_fd());
                self.finish(job, Work::Close(file), End::Done);
            }
        }
    }

    fn after(self: &Arc<Self>, job: &Arc<Job>, transfer: Box<Owned>, step: Step) {
        job.note(transfer.sent());
        let end = match step {
            Step::Again => {
                let cold = window(&transfer).is_none();
                let mut work = Work::Transfer(transfer);
                if cold {
                    match self.hand_over(job, work) {
                        Ok(()) => return,
                        Err(back) => work = back,
                    }
                }
                return self.watch(job, work);
            }
            Step::Wait => {
                job.waited();
                return self.watch(job, Work::Transfer(transfer));
            }
            Step::Done => End::Done,
            Step::Failed(errno) => End::Failed(errno),
            Step::Unreadable(errno) => End::Unreadable(errno),
            Step::Truncated => End::Truncated,
        };
        self.finish(job, Work::Transfer(transfer), end);
    }

    /// Gives a job to the poller.
    fn watch(self: &Arc<Self>, job: &Arc<Job>, work: Work) {
        match job.wait(work) {
            Ok(()) => {}
            Err((work, Phase::CANCELLED)) => self.finish(job, work, End::Cancelled),
            // A descriptor that the poller refuses as always ready: a regular file.
            Err((work @ Work::Writable(_), libc::EPERM)) => self.finish(job, work, End::Done),
            Err((work @ Work::Transfer(_), errno)) => self.finish(job, work, End::Refused(errno)),
            Err((work, errno)) => self.finish(job, work, End::Failed(errno)),
        }
    }

    /// Gives a job to the crew; without one, or with the job cancelled, the work comes back.
    fn hand_over(self: &Arc<Self>, job: &Arc<Job>, work: Work) -> Result<(), Work> {
        job.queue(work)?;
        match self.crew.give(self, job.id) {
            Ok(()) => Ok(()),
            // Whoever cancelled it between the two has it, and has ended it.
            Err(_) => job.begin().map_or(Ok(()), Err),
        }
    }

    fn keep(self: &Arc<Self>, job: &Arc<Job>, source: Source) {
        let report = job.report(None, End::Done);
        if job.keep(source) {
            job.sink.done(report);
        } else {
            self.jobs().remove(&job.id);
            job.sink.done(Report { end: End::Cancelled, ..report });
        }
    }

    /// Ends a job: its descriptors first, so that whoever hears of the end finds them closed.
    fn finish(&self, job: &Arc<Job>, work: Work, end: End) {
        let end = if job.is_cancelled() && end != End::Done { End::Cancelled } else { end };
        let report = job.report(Some(&work), end);
        drop(work);
        self.over(job, report);
    }

    fn over(&self, job: &Job, report: Report) {
        job.close();
        job.sink.done(report);
        self.jobs().remove(&job.id);
    }
}

/// What to ask the page cache for, by what the last step has sent. To count pages takes time, and a socket that took
/// little will not take much the next time.
fn hot_window(took: Option<u64>) -> u64 {
    took.map_or(HOT_WINDOW, |took| took.saturating_mul(2).clamp(COLD_WINDOW, HOT_WINDOW))
}

/// The budget of the next step, if its bytes are in memory.
fn window(transfer: &Owned) -> Option<u64> {
    let hot = hot_window(transfer.took());
    let windows = if hot == COLD_WINDOW { &[COLD_WINDOW][..] } else { &[hot, COLD_WINDOW] };
    windows.iter().copied().find(|&window| match transfer.residency(window) {
        Residency::Hot => true,
        Residency::Likely => window == COLD_WINDOW,
        Residency::Cold => false,
    })
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), i32> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(|| {
            signal::block_all();
            run();
        })
        .map(drop)
        .map_err(|error| error.raw_os_error().unwrap_or(libc::EAGAIN))
}

/// A lock whose holder cannot leave half-made state behind: a panic elsewhere does not make it useless.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[cfg(not(shuttle))]
#[path = "engine/tests.rs"]
mod tests;

#[cfg(test)]
#[cfg(not(shuttle))]
#[path = "engine/model_tests.rs"]
mod model_tests;

#[cfg(test)]
#[cfg(shuttle)]
mod schedules;
