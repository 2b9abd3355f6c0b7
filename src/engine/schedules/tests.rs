//! What must hold of every job in every order of events.

use std::cell::RefCell;
use std::ffi::CString;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use shuttle::rand::{thread_rng, Rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use super::super::*;
use super::{begin, end};
use crate::testing::{narrow_pair, pattern, Temp};
use crate::transfer::Method;

/// More than a socket holds, so that it takes two turns at least.
const LARGE: usize = 150_000;
const SMALL: usize = 3000;

/// Keeps what it hears. It is asked only between the steps of the scheduler.
#[derive(Default)]
struct Heard(Mutex<Vec<Report>>);

impl Sink for Heard {
    fn done(&self, report: Report) {
        self.0.lock().unwrap().push(report);
    }
}

impl Heard {
    fn of(&self, id: usize) -> Vec<Report> {
        self.0.lock().unwrap().iter().filter(|report| report.id == id).copied().collect()
    }
}

/// What a job is to do, and what has come of it.
struct Play {
    id: usize,
    owner: u64,
    what: What,
    peer: Option<UnixStream>,
    got: Vec<u8>,
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Transfer(usize),
    /// Its peer has left before.
    Broken,
    /// The file is shorter than was promised.
    Short,
    Open,
    Writable,
}

/// What the canceller got for an answer.
#[derive(Default)]
struct Answers(RefCell<Vec<(usize, Cancelled)>>);

struct Files {
    file: Arc<OwnedFd>,
    bytes: Vec<u8>,
    path: CString,
    _temp: Temp,
}

impl Files {
    fn new() -> Self {
        let bytes = pattern(LARGE, 1);
        let temp = Temp::of(&bytes);
        let path = CString::new(temp.path().as_os_str().as_encoded_bytes()).unwrap();
        Self { file: Arc::new(temp.open().into()), bytes, path, _temp: temp }
    }
}

thread_local! {
    static FILES: Files = Files::new();
}

fn start(engine: &Arc<Engine>, sink: &Arc<Heard>, what: What, owner: u64, trusted: bool) -> Play {
    let (out, peer) = narrow_pair();
    peer.set_nonblocking(true).unwrap();
    let begin = if thread_rng().gen() { Begin::Cold } else { Begin::WhenWritable };
    let transfer = |length: usize| {
        let file = FILES.with(|files| Arc::clone(&files.file));
        let held = engine.hold(out.as_fd()).unwrap();
        let offset = if what == What::Short { LARGE - 1000 } else { 0 };
        let transfer =
            Transfer::new(held, file, offset as u64, length as u64, Method::Auto).trusting(trusted);
        engine.transfer(owner, sink.clone(), transfer, begin).unwrap()
    };
    let mut peer = Some(peer);
    let id = match what {
        What::Transfer(length) => transfer(length),
        What::Short => transfer(2000),
        What::Broken => {
            peer = None;
            transfer(LARGE)
        }
        What::Open => {
            let path = FILES.with(|files| files.path.clone());
            match engine.open(owner, sink.clone(), path) {
                Ok(id) => id,
                // Without a crew nobody may wait for it.
                Err(errno) => {
                    assert_eq!(errno, libc::EAGAIN);
                    0
                }
            }
        }
        What::Writable => engine.writable(owner, sink.clone(), engine.hold(out.as_fd()).unwrap()).unwrap(),
    };
    Play { id, owner, what, peer, got: Vec::new(), ended: false }
}

impl Play {
    /// Reads what is there.
    fn read(&mut self, engine: &Arc<Engine>) {
        let Some(peer) = self.peer.as_mut().filter(|_| !self.ended) else {
            self.ended = true;
            return;
        };
        let mut buffer = [0; 32 * 1024];
        loop {
            match peer.read(&mut buffer) {
                Ok(0) => {
                    self.ended = true;
                    return;
                }
                Ok(n) => {
                    self.got.extend_from_slice(&buffer[..n]);
                    engine.poller.look();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn check(&self, reports: &[Report], answers: &[Cancelled], abandoned: bool) {
        let said = format!("{:?}: {reports:?} {answers:?} {abandoned}", self.what);
        let now: Vec<u64> = answers
            .iter()
            .filter_map(|answer| if let Cancelled::Now(sent) = answer { Some(*sent) } else { None })
            .collect();
        assert!(reports.len() + now.len() <= 1, "over twice: {said}");
        assert!(reports.len() + now.len() == 1 || abandoned, "lost: {said}");
        let told = reports.first();
        // Who was told that it will hear hears.
        assert!(abandoned || !answers.contains(&Cancelled::Soon) || told.is_some(), "{said}");
        if self.what == What::Open && answers.contains(&Cancelled::Soon) {
            assert!(told.is_none_or(|report| report.end == End::Cancelled), "{said}");
        }
        let got = self.got.len() as u64;
        assert!(FILES.with(|files| {
            let start = if self.what == What::Short { LARGE - 1000 } else { 0 };
            files.bytes[start..].starts_with(&self.got)
        }));
        if self.peer.is_some() {
            let sent = told.map(|report| report.sent).or(now.first().copied());
            assert!(sent.is_none_or(|sent| sent == got), "{got} arrived: {said}");
        }
        let Some(report) = told else { return };
        match (self.what, report.end) {
            (_, End::Cancelled) => assert!(abandoned || !answers.is_empty(), "{said}"),
            (What::Transfer(length), End::Done) => assert_eq!(got, length as u64),
            (What::Open | What::Writable, End::Done) => {}
            (What::Broken, End::Failed(libc::EPIPE | libc::ECONNRESET)) => {}
            (What::Short, End::Truncated) => assert_eq!(got, 1000),
            _ => panic!("{said}"),
        }
    }
}

/// A few jobs of any kind, somebody who ends some of them, and a reader.
fn few_jobs() {
    begin();
    let threads = [1, 2, 4, 5][thread_rng().gen_range(0..4)];
    let engine = Engine::new(threads).unwrap();
    let sink = Arc::new(Heard::default());
    let mut plays = Vec::new();
    for _ in 0..thread_rng().gen_range(1..5) {
        let what = [
            What::Transfer(SMALL),
            What::Transfer(LARGE),
            What::Transfer(LARGE),
            What::Broken,
            What::Short,
            What::Open,
            What::Writable,
        ][thread_rng().gen_range(0..7)];
        let (owner, trusted) = (thread_rng().gen_range(1..3), thread_rng().gen());
        plays.push(start(&engine, &sink, what, owner, trusted));
    }
    plays.retain(|play| play.id > 0);

    let answers = Arc::new(Mutex::new(Answers::default()));
    let abandons = thread_rng().gen_ratio(1, 4);
    let canceller = {
        let (engine, answers) = (Arc::clone(&engine), Arc::clone(&answers));
        let ids: Vec<usize> = plays.iter().map(|play| play.id).filter(|_| thread_rng().gen()).collect();
        shuttle::thread::spawn(move || {
            for id in ids {
                // Twice, now and then: the second finds it over, or still running.
                for _ in 0..thread_rng().gen_range(1..3) {
                    let answer = engine.cancel(id, thread_rng().gen());
                    answers.lock().unwrap().0.borrow_mut().push((id, answer));
                }
            }
            if abandons {
                engine.abandon(1);
            }
        })
    };

    // Until nothing more comes: what is over has closed its socket.
    while plays.iter().any(|play| !play.ended) {
        for play in &mut plays {
            play.read(&engine);
        }
        shuttle::thread::yield_now();
    }
    canceller.join().unwrap();
    // A broken one has no peer to wait for, an opened file waits to be fetched.
    let waits = |play: &Play| engine.jobs().contains_key(&play.id) && sink.of(play.id).is_empty();
    while plays.iter().any(waits) {
        shuttle::thread::yield_now();
    }
    // What belongs to nobody any more is closed unasked.
    let fetched = |play: &&Play| play.what == What::Open && !(abandons && play.owner == 1);
    for play in plays.iter().filter(fetched) {
        let done = sink.of(play.id).iter().any(|report| report.end == End::Done);
        assert_eq!(engine.opened(play.id).is_some(), done);
        assert!(engine.opened(play.id).is_none());
    }
    let most = end();
    assert!(most <= threads, "{most} threads of {threads}");
    assert!(engine.jobs().is_empty(), "a job is left in the table");
    for play in &plays {
        let (reports, answers) = (sink.of(play.id), answers_of(&answers, play.id));
        play.check(&reports, &answers, abandons && play.owner == 1);
    }
    assert_eq!(Arc::strong_count(&sink), 1, "somebody keeps a job");
}

fn answers_of(answers: &Mutex<Answers>, id: usize) -> Vec<Cancelled> {
    let answers = answers.lock().unwrap();
    let all = answers.0.borrow();
    all.iter().filter(|(of, _)| *of == id).map(|(_, answer)| *answer).collect()
}

/// Files to open by a crew of one or two, whose patience may end between any two of them.
fn busy_crew() {
    begin();
    let crew = thread_rng().gen_range(1..3);
    let engine = Engine::new(if crew == 1 { 2 } else { 4 }).unwrap();
    let sink = Arc::new(Heard::default());
    let starter = {
        let (engine, sink) = (Arc::clone(&engine), Arc::clone(&sink));
        shuttle::thread::spawn(move || {
            for _ in 0..2 {
                start(&engine, &sink, What::Open, 1, true);
            }
        })
    };
    for _ in 0..2 {
        start(&engine, &sink, What::Open, 1, true);
    }
    starter.join().unwrap();
    // The crew's own patience must not be what saves a job.
    while sink.0.lock().unwrap().len() < 4 {
        shuttle::thread::yield_now();
    }
    engine.abandon(1);
    assert!(engine.jobs().is_empty());
    assert!(end() <= crew);
}

/// Whoever hears of a file that is open waits until another has heard of his.
struct Appointment {
    there: shuttle::sync::Mutex<usize>,
    bell: shuttle::sync::Condvar,
}

impl Sink for Appointment {
    fn done(&self, _: Report) {
        let mut there = self.there.lock().unwrap();
        *there += 1;
        self.bell.notify_all();
        while *there < 2 {
            there = self.bell.wait(there).unwrap();
        }
    }
}

/// Two files at once, for a crew that may be idle or not there at all: each is opened by a thread of its own.
fn two_at_once() {
    begin();
    let engine = Engine::new(4).unwrap();
    let early = Arc::new(Heard::default());
    for _ in 0..thread_rng().gen_range(0..3) {
        start(&engine, &early, What::Open, 1, true);
    }
    let both =
        Arc::new(Appointment { there: shuttle::sync::Mutex::new(0), bell: shuttle::sync::Condvar::new() });
    for _ in 0..2 {
        let path = FILES.with(|files| files.path.clone());
        engine.open(2, both.clone(), path).unwrap();
    }
    let mut there = both.there.lock().unwrap();
    while *there < 2 {
        there = both.bell.wait(there).unwrap();
    }
    drop(there);
    assert!(end() <= 2);
}

fn check(scheduler: impl Scheduler + 'static, model: fn()) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    config.stack_size = 256 * 1024;
    Runner::new(scheduler, config).run(model);
}

#[test]
fn every_job_ends_once_in_any_order_of_events() {
    check(RandomScheduler::new(3000), few_jobs);
}

#[test]
fn every_job_ends_once_where_few_orders_of_threads_matter() {
    check(PctScheduler::new(3, 3000), few_jobs);
}

#[test]
fn what_the_crew_is_given_it_takes_in_any_order_of_events() {
    check(RandomScheduler::new(3000), busy_crew);
}

#[test]
fn what_waits_for_a_disk_does_not_wait_for_each_other_in_any_order_of_events() {
    check(RandomScheduler::new(3000), two_at_once);
}
