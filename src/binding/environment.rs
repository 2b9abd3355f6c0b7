//! What belongs to one JS environment (the main thread, or a worker): its channel from the engine's threads, the
//! callbacks that wait, its open sources. All of it ends with the environment.

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use napi::bindgen_prelude::{FnArgs, Function, FunctionRef};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};

use super::args::{answer, number};
use super::source::forget;
use crate::engine::{End, Engine, Report, Sink};
use crate::sys::open::Source;

/// What a JS callback of the engine hears: end, sent, errno, calls, waits, copied, refusal. For an opened file: end,
/// source, errno, fd, size, local, rooted.
pub type Numbers = FnArgs<(f64, f64, f64, f64, f64, f64, f64)>;
/// A JS callback that hears of one job.
pub type Done<'a> = Function<'a, Numbers, ()>;

type Channel = ThreadsafeFunction<Report, (), (), Status, false, true>;

/// The ends as JS knows them.
pub const DONE: f64 = 0.0;
/// With an errno.
pub const FAILED: f64 = 1.0;
/// The file ended early.
pub const TRUNCATED: f64 = 2.0;
/// By `cancel`.
pub const CANCELLED: f64 = 3.0;
/// Descriptors, threads or the poller's watches ran out: with an errno.
pub const REFUSED: f64 = 4.0;
/// The file cannot be read: with an errno.
pub const UNREADABLE: f64 = 5.0;

/// The engine's way into one environment. It is shut before the environment is gone.
pub struct JsSink(RwLock<Option<Channel>>);

impl JsSink {
    fn with<T>(&self, run: impl FnOnce(&mut Option<Channel>) -> T) -> T {
        run(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The loop stays alive while something is pending, and only then.
    #[allow(deprecated)] // the loop has to be held and let go many times in the life of one function
    fn hold_loop(&self, env: &Env, hold: bool) -> Result<()> {
        self.with(|channel| match channel {
            Some(channel) if hold => channel.refer(env),
            Some(channel) => channel.unref(env),
            None => Ok(()),
        })
    }
}

impl Sink for JsSink {
    fn done(&self, report: Report) {
        let channel = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channel.as_ref() {
            channel.call(report, ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

/// A source that JS holds by a number.
pub struct Held {
    /// The file; a running transfer holds it too.
    pub file: Arc<OwnedFd>,
    /// Its system is known to be local.
    pub local: bool,
}

/// One environment's state.
pub struct Environment {
    /// Its name for the engine.
    pub owner: u64,
    /// Its way in.
    pub sink: Arc<JsSink>,
    /// Who waits for which job. A callback a job, since one environment may load the JS side more than once.
    callbacks: HashMap<usize, FunctionRef<Numbers, ()>>,
    /// The sources that JS holds.
    pub sources: HashMap<u32, Held>,
    next_source: u32,
}

thread_local! {
    static HERE: RefCell<Option<Environment>> = const { RefCell::new(None) };
}

/// The process's engine, made at load so that its descriptors are there before anybody counts.
///
/// # Errors
/// The errno by which its poller cannot be made.
pub fn engine() -> std::result::Result<Arc<Engine>, i32> {
    static ENGINE: Mutex<Option<Arc<Engine>>> = Mutex::new(None);
    let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = engine.as_ref() {
        return Ok(Arc::clone(engine));
    }
    let threads = env::var("RS_SENDFILE_THREADS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let made = Engine::new(threads).map_err(|error| error.raw_os_error().unwrap_or(libc::EMFILE))?;
    Ok(Arc::clone(engine.insert(made)))
}

/// Runs `run` on the calling environment's state.
pub fn here<T>(env: &Env, run: impl FnOnce(&mut Environment) -> T) -> Result<T> {
    HERE.with_borrow_mut(|here| match here {
        Some(environment) => Ok(run(environment)),
        None => Ok(run(here.insert(Environment::new(env)?))),
    })
}

impl Environment {
    fn new(env: &Env) -> Result<Self> {
        static OWNERS: AtomicU64 = AtomicU64::new(1);
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        let nothing = env.create_function_from_closure::<(), (), _>("sendfile", |_| Ok(()))?;
        let channel: Channel = nothing
            .build_threadsafe_function::<Report>()
            .weak::<true>()
            .callee_handled::<false>()
            .build_callback(|context| deliver(&context.env, context.value))?;
        let sink = Arc::new(JsSink(RwLock::new(Some(channel))));
        // Added after the channel, so it runs before the channel's own end.
        env.add_env_cleanup_hook(Arc::clone(&sink), move |sink| {
            drop(sink.with(Option::take));
            // In this order: a job's file is not closed here, since it is kept here.
            if let Ok(engine) = engine() {
                engine.abandon(owner);
            }
            if let Some(mut environment) = HERE.take() {
                for id in environment.sources.keys().copied().collect::<Vec<_>>() {
                    forget(&mut environment, id);
                }
            }
        })?;
        Ok(Self { owner, sink, callbacks: HashMap::new(), sources: HashMap::new(), next_source: 1 })
    }

    /// Remembers who wants to hear of a job.
    pub fn expect(&mut self, env: &Env, id: usize, done: FunctionRef<Numbers, ()>) -> Result<()> {
        if self.callbacks.is_empty() {
            self.sink.hold_loop(env, true)?;
        }
        self.callbacks.insert(id, done);
        Ok(())
    }

    /// Forgets it.
    pub fn forget(&mut self, env: &Env, id: usize) -> Result<Option<FunctionRef<Numbers, ()>>> {
        let done = self.callbacks.remove(&id);
        if done.is_some() && self.callbacks.is_empty() {
            self.sink.hold_loop(env, false)?;
        }
        Ok(done)
    }

    /// Keeps an open file; the number is JS's name for it.
    pub fn keep(&mut self, source: Source) -> u32 {
        while self.sources.contains_key(&self.next_source) || self.next_source == 0 {
            self.next_source = self.next_source.wrapping_add(1);
        }
        let id = self.next_source;
        self.next_source = id.wrapping_add(1);
        self.sources.insert(id, Held { file: Arc::new(source.fd), local: source.local });
        id
    }
}

/// Begins a job and remembers who wants to hear of it. Its number, or the errno by which it cannot begin.
pub fn begin(
    env: &Env,
    done: &Done<'_>,
    start: impl FnOnce(&Environment) -> std::result::Result<usize, i32>,
) -> Result<f64> {
    let done = done.create_ref()?;
    here(env, |environment| match start(environment) {
        Ok(id) => {
            environment.expect(env, id, done)?;
            Ok(number(id as u64))
        }
        Err(errno) => Ok(answer(Err(errno))),
    })?
}

/// A report as JS hears it.
pub fn numbers(report: &Report) -> [f64; 7] {
    let (end, errno) = match report.end {
        End::Done => (DONE, 0),
        End::Failed(errno) => (FAILED, errno),
        End::Unreadable(errno) => (UNREADABLE, errno),
        End::Truncated => (TRUNCATED, 0),
        End::Refused(errno) => (REFUSED, errno),
        End::Cancelled => (CANCELLED, 0),
    };
    [
        end,
        number(report.sent),
        f64::from(-errno),
        f64::from(report.calls),
        f64::from(report.waits),
        f64::from(u8::from(report.copied)),
        f64::from(-report.refusal),
    ]
}

/// What JS learns of an open file: its name here, fd, size (-1: says nothing), local, rooted.
pub fn describe(environment: &mut Environment, source: Source) -> [f64; 5] {
    use std::os::fd::AsRawFd;
    let fd = source.fd.as_raw_fd();
    let size = source.size.map_or(-1.0, number);
    let (local, rooted) = (source.local, source.rooted);
    let id = environment.keep(source);
    [f64::from(id), f64::from(fd), size, f64::from(u8::from(local)), f64::from(u8::from(rooted))]
}

fn deliver(env: &Env, report: Report) -> Result<()> {
    let opened = engine().ok().and_then(|engine| engine.opened(report.id));
    let (done, numbers) = here(env, |environment| {
        let done = environment.forget(env, report.id)?;
        let numbers = match (opened, &done) {
            (Some(source), Some(_)) => {
                let [id, fd, size, local, rooted] = describe(environment, source);
                [DONE, id, 0.0, fd, size, local, rooted]
            }
            _ => numbers(&report),
        };
        Ok::<_, napi::Error>((done, numbers))
    })??;
    if let Some(done) = done {
        let [a, b, c, d, e, f, g] = numbers;
        done.borrow_back(env)?.call((a, b, c, d, e, f, g).into())?;
    }
    Ok(())
}
