//! Random sequences of what may happen to transfers, on real sockets, and what must hold of each of them afterwards.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::testing::{alone, narrow_pair, pattern, until, Temp, PATIENCE};
use crate::transfer::Method;

/// More than two times what a socket holds.
const FILE: usize = 200_000;
const OWNERS: u64 = 4;

/// What happens next. A number names one of the transfers that there are.
#[derive(Clone, Debug)]
enum Op {
    Submit(Submit),
    Open(u64),
    Read(usize, usize),
    PeerCloses(usize),
    Cancel(usize, bool),
    Abandon(u64),
    Truncate(usize, usize),
    Breathe,
}

#[derive(Clone, Debug)]
struct Submit {
    owner: u64,
    from: usize,
    length: usize,
    head: usize,
    tail: usize,
    method: Method,
    cold: bool,
    trusted: bool,
}

fn submit() -> impl Strategy<Value = Submit> {
    let method = prop::sample::select(vec![Method::Auto, Method::Sendfile, Method::Copy]);
    let edge = prop_oneof![3 => Just(0), 2 => 1..300usize, 1 => 1..100_000usize];
    (0..OWNERS, 0..FILE, 0..FILE, edge.clone(), edge, method, any::<bool>(), any::<bool>()).prop_map(
        |(owner, from, length, head, tail, method, cold, trusted)| Submit {
            owner,
            from,
            length: length.min(FILE - from),
            head,
            tail,
            method,
            cold,
            trusted,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => submit().prop_map(Op::Submit),
        1 => (0..OWNERS).prop_map(Op::Open),
        8 => (0..9usize, 1..200_000usize).prop_map(|(job, bytes)| Op::Read(job, bytes)),
        1 => (0..9usize).prop_map(Op::PeerCloses),
        3 => (0..9usize, any::<bool>()).prop_map(|(job, hang_up)| Op::Cancel(job, hang_up)),
        1 => (0..OWNERS).prop_map(Op::Abandon),
        1 => (0..9usize, 0..FILE).prop_map(|(job, length)| Op::Truncate(job, length)),
        3 => Just(Op::Breathe),
    ]
}

/// Keeps what an owner hears until the owner is gone.
#[derive(Default)]
struct Ear(Mutex<Vec<Report>>);

impl Sink for Ear {
    fn done(&self, report: Report) {
        lock(&self.0).push(report);
    }
}

impl Ear {
    fn of(&self, id: usize) -> Vec<Report> {
        lock(&self.0).iter().filter(|report| report.id == id).copied().collect()
    }
}

/// One transfer, and all that is known of it.
struct Known {
    id: usize,
    submit: Submit,
    temp: Temp,
    wanted: Vec<u8>,
    peer: Option<UnixStream>,
    got: Vec<u8>,
    answers: Vec<Cancelled>,
    abandoned: bool,
    hung_up: bool,
    left: bool,
    cut: usize,
}

impl Known {
    fn read(&mut self, most: usize) -> bool {
        let Some(peer) = self.peer.as_mut() else { return false };
        let mut buffer = vec![0; most];
        match peer.read(&mut buffer) {
            Ok(n) => {
                self.got.extend_from_slice(&buffer[..n]);
                n > 0
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Err(error) => panic!("{error}"),
        }
    }

    fn check(&self, reports: &[Report]) {
        let said =
            format!("{:?}: {reports:?}, {:?}, abandoned: {}", self.submit, self.answers, self.abandoned);
        let now: Vec<u64> = self
            .answers
            .iter()
            .filter_map(|answer| if let Cancelled::Now(sent) = answer { Some(*sent) } else { None })
            .collect();
        assert!(reports.len() + now.len() <= 1, "over twice: {said}");
        assert!(self.abandoned || reports.len() + now.len() == 1, "lost: {said}");

        // A page that is on its way when its file is cut may arrive with zeros.
        let sure = self.submit.head + self.cut.saturating_sub(self.submit.from).min(self.submit.length);
        for (place, (&got, &wanted)) in self.got.iter().zip(&self.wanted).enumerate() {
            assert!(got == wanted || (place >= sure && got == 0), "byte {place}: {said}");
        }
        assert!(self.got.len() <= self.wanted.len(), "{said}");

        let Some(sent) = reports.first().map(|report| report.sent).or(now.first().copied()) else { return };
        assert!(sent <= self.wanted.len() as u64);
        if !self.left {
            assert_eq!(sent, self.got.len() as u64, "what was counted and what arrived: {said}");
        }
        let Some(report) = reports.first() else { return };
        match report.end {
            End::Done => assert_eq!(sent, self.wanted.len() as u64, "{said}"),
            End::Truncated => assert!(self.cut < self.submit.from + self.submit.length, "{said}"),
            End::Cancelled => assert!(self.abandoned || self.answers.contains(&Cancelled::Soon), "{said}"),
            End::Failed(errno) => {
                assert!(matches!(errno, libc::EPIPE | libc::ECONNRESET), "{said}");
                assert!(self.left || self.hung_up, "{said}");
            }
            End::Unreadable(_) | End::Refused(_) => panic!("{said}"),
        }
    }
}

struct World {
    engine: Arc<Engine>,
    ears: Vec<Arc<Ear>>,
    all: Vec<Known>,
    opened: Vec<(u64, usize)>,
    gone: Vec<u64>,
}

impl World {
    fn new(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::clone(engine),
            ears: (0..OWNERS).map(|_| Arc::default()).collect(),
            all: Vec::new(),
            opened: Vec::new(),
            gone: Vec::new(),
        }
    }

    fn ear(&self, owner: u64) -> &Arc<Ear> {
        &self.ears[usize::try_from(owner).unwrap()]
    }

    fn one(&mut self, number: usize) -> Option<&mut Known> {
        let count = self.all.len();
        self.all.get_mut(number.checked_rem(count)?)
    }

    fn submit(&mut self, submit: Submit) {
        let seed = self.all.len() as u64;
        let bytes = pattern(FILE, seed + 1);
        let (head, tail) = (pattern(submit.head, seed + 100), pattern(submit.tail, seed + 200));
        let wanted = [&head, &bytes[submit.from..][..submit.length], &tail].concat();
        let temp = Temp::of(&bytes);
        let (out, peer) = narrow_pair();
        peer.set_nonblocking(true).unwrap();
        let held = self.engine.hold(out.as_fd()).unwrap();
        let file: Arc<OwnedFd> = Arc::new(temp.open().into());
        let transfer = Transfer::new(held, file, submit.from as u64, submit.length as u64, submit.method)
            .framed(head.into(), tail.into())
            .trusting(submit.trusted);
        let begin = if submit.cold { Begin::Cold } else { Begin::WhenWritable };
        let sink = Arc::clone(self.ear(submit.owner));
        let id = self.engine.transfer(submit.owner, sink, transfer, begin).unwrap();
        self.all.push(Known {
            id,
            submit,
            temp,
            wanted,
            peer: Some(peer),
            got: Vec::new(),
            answers: Vec::new(),
            abandoned: false,
            hung_up: false,
            left: false,
            cut: FILE,
        });
    }

    fn play(&mut self, op: &Op) {
        match *op {
            // Whoever is gone begins nothing.
            Op::Submit(ref submit) if self.gone.contains(&submit.owner) => {}
            Op::Open(owner) if self.gone.contains(&owner) => {}
            Op::Submit(ref submit) => self.submit(submit.clone()),
            Op::Open(owner) => {
                let sink = Arc::clone(self.ear(owner));
                match self.engine.open(owner, sink, c"/proc/self/exe".into()) {
                    Ok(id) => self.opened.push((owner, id)),
                    // There is no crew.
                    Err(errno) => assert_eq!(errno, libc::EAGAIN),
                }
            }
            Op::Read(number, bytes) => {
                if let Some(known) = self.one(number) {
                    known.read(bytes);
                }
            }
            Op::PeerCloses(number) => {
                if let Some(known) = self.one(number) {
                    known.left |= known.peer.take().is_some();
                }
            }
            Op::Cancel(number, hang_up) => {
                let engine = Arc::clone(&self.engine);
                if let Some(known) = self.one(number) {
                    let answer = engine.cancel(known.id, hang_up);
                    known.hung_up |= hang_up && answer == Cancelled::Soon;
                    known.answers.push(answer);
                }
            }
            Op::Abandon(owner) => {
                self.engine.abandon(owner);
                self.gone.push(owner);
                let owned = self.all.iter_mut().filter(|known| known.submit.owner == owner);
                owned.for_each(|known| known.abandoned = true);
            }
            Op::Truncate(number, length) => {
                if let Some(known) = self.one(number) {
                    known.cut = known.cut.min(length);
                    let file = File::options().write(true).open(known.temp.path()).unwrap();
                    file.set_len(known.cut as u64).unwrap();
                }
            }
            Op::Breathe => thread::yield_now(),
        }
    }

    /// Everybody reads to the end, then all must be over.
    fn end(mut self) {
        let mut open: Vec<&mut Known> = self.all.iter_mut().filter(|known| known.peer.is_some()).collect();
        let end = Instant::now() + PATIENCE;
        while !open.is_empty() {
            assert!(Instant::now() < end, "a transfer does not end");
            open.retain_mut(|known| known.read(64 * 1024));
            thread::yield_now();
        }
        let engine = Arc::clone(&self.engine);
        for &(owner, id) in self.opened.iter().filter(|(owner, _)| !self.gone.contains(owner)) {
            until("a file is opened", || !self.ear(owner).of(id).is_empty());
            assert_eq!(self.ear(owner).of(id)[0].end, End::Done);
            assert!(engine.opened(id).is_some());
        }
        until("every job is forgotten", || engine.jobs().is_empty());
        for known in &self.all {
            known.check(&self.ear(known.submit.owner).of(known.id));
        }
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn whatever_happens_each_job_ends_once_with_its_exact_count_and_leaves_nothing() {
    alone(
        "engine::model_tests::whatever_happens_each_job_ends_once_with_its_exact_count_and_leaves_nothing",
        || {
            let config = Config { failure_persistence: None, ..Config::with_cases(300) };
            let sequence = (prop::collection::vec(op(), 1..30), prop::sample::select(vec![0usize, 1, 2, 4]));
            // Its threads, and with them its poller, stay: one engine for all.
            let engines: Vec<(usize, Arc<Engine>)> =
                [0, 1, 2, 4].into_iter().map(|threads| (threads, Engine::new(threads).unwrap())).collect();
            let before = descriptors();
            let outcome = TestRunner::new(config).run(&sequence, |(ops, threads)| {
                let (_, engine) = engines.iter().find(|(of, _)| *of == threads).unwrap();
                let mut world = World::new(engine);
                for op in &ops {
                    world.play(op);
                }
                world.end();
                prop_assert_eq!(descriptors(), before, "descriptors");
                Ok(())
            });
            if let Err(error) = outcome {
                panic!("{error}");
            }
        },
    );
}
