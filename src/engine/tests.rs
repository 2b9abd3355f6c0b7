//! The engine on real sockets with the smallest buffers that there are.
//!
//! A thread of the crew can be kept busy for as long as a test likes: a socket that blocks and whose peer does not read
//! holds it in its step.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Weak};
use std::time::Instant;

use libc::{EAGAIN, ECONNRESET, EINVAL, EISDIR, ENOENT, EPERM, EPIPE};

use super::*;
use crate::sys::testing::on_linux;
use crate::sys::testing::{fifo, let_sigpipe_kill};
use crate::testing::{
    alone, assert_same, narrow_pair, narrow_tcp_pair, pattern, read_exactly, slow_reader, tcp_pair, until,
    Temp, PATIENCE,
};
use crate::transfer::Method;

const MIB: usize = 1 << 20;
const LARGE: u64 = 1 << 40;

#[test]
fn the_page_cache_is_asked_for_what_the_socket_may_take() {
    assert_eq!(hot_window(None), HOT_WINDOW);
    assert_eq!(hot_window(Some(0)), COLD_WINDOW);
    assert_eq!(hot_window(Some(200_000)), 400_000);
    assert_eq!(hot_window(Some(HOT_WINDOW)), HOT_WINDOW);
    assert_eq!(hot_window(Some(u64::MAX)), HOT_WINDOW);
}

/// Keeps what it hears.
#[derive(Default)]
struct Heard {
    reports: Mutex<Vec<Report>>,
    bell: Condvar,
    shut: AtomicBool,
}

impl Sink for Heard {
    fn done(&self, report: Report) {
        if !self.shut.load(Ordering::SeqCst) {
            lock(&self.reports).push(report);
            self.bell.notify_all();
        }
    }
}

impl Heard {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The report of a job, once it is there.
    fn of(&self, id: usize) -> Report {
        let end = Instant::now() + PATIENCE;
        let mut reports = lock(&self.reports);
        loop {
            if let Some(report) = reports.iter().find(|report| report.id == id) {
                return *report;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "job {id} did not end in time");
            reports = self.bell.wait_timeout(reports, left).unwrap().0;
        }
    }

    fn ids(&self) -> Vec<usize> {
        lock(&self.reports).iter().map(|report| report.id).collect()
    }
}

/// What it hears it hands to a closure.
struct Calls<F>(F);

impl<F: Fn(Report) + Send + Sync> Sink for Calls<F> {
    fn done(&self, report: Report) {
        (self.0)(report);
    }
}

fn engine(threads: usize) -> Arc<Engine> {
    Engine::new(threads).unwrap()
}

fn file_of(bytes: &[u8]) -> Arc<OwnedFd> {
    Arc::new(Temp::of(bytes).open().into())
}

fn owned(engine: &Engine, out: &impl AsFd, file: &Arc<OwnedFd>, length: usize) -> Owned {
    let out = engine.hold(out.as_fd()).unwrap();
    Transfer::new(out, Arc::clone(file), 0, length as u64, Method::Auto).trusting(true)
}

/// A job that the poller has, with its socket full, and the bytes that are out.
fn waiting(
    engine: &Arc<Engine>,
    owner: u64,
    sink: &Arc<Heard>,
    out: &impl AsFd,
    file: &Arc<OwnedFd>,
) -> (usize, u64) {
    let mut transfer = owned(engine, out, file, MIB);
    assert_eq!(transfer.step(&Native, LARGE), Step::Wait);
    let sent = transfer.sent();
    assert!(sent > 0);
    let id = engine.transfer(owner, sink.clone(), transfer, Begin::WhenWritable).unwrap();
    (id, sent)
}

/// A job in whose step a thread of the crew hangs. One byte of it has been read.
fn hanging(engine: &Arc<Engine>, owner: u64, sink: &Arc<Heard>) -> (usize, UnixStream) {
    let (out, mut peer) = narrow_pair();
    out.set_nonblocking(false).unwrap();
    let transfer = owned(engine, &out, &file_of(&[7; MIB]), MIB);
    let id = engine.transfer(owner, sink.clone(), transfer, Begin::Cold).unwrap();
    read_exactly(&mut peer, 1);
    (id, peer)
}

/// Reads until the end; a reset is an end too.
fn drain(peer: &mut impl Read) -> usize {
    let mut buffer = [0; 8192];
    let mut total = 0;
    loop {
        match peer.read(&mut buffer) {
            Ok(0) => return total,
            Ok(n) => total += n,
            Err(error) if error.raw_os_error() == Some(ECONNRESET) => return total,
            Err(error) => panic!("{error}"),
        }
    }
}

mod delivery {
    use super::*;

    fn delivers(
        engine: &Arc<Engine>,
        out: impl AsFd,
        peer: impl Read + Send + 'static,
        method: Method,
    ) -> Report {
        let bytes = pattern(500_000, 1);
        let (head, tail) = (pattern(10_000, 2), pattern(10_000, 3));
        let sink = Heard::new();
        let reader = slow_reader(peer);
        let held = engine.hold(out.as_fd()).unwrap();
        drop(out);
        let transfer = Transfer::new(held, file_of(&bytes), 1000, 400_000, method)
            .framed(head.clone().into(), tail.clone().into());
        let id = engine.transfer(1, sink.clone(), transfer, Begin::WhenWritable).unwrap();
        assert_same(&reader.join().unwrap(), &[&head, &bytes[1000..401_000], &tail].concat());
        let report = sink.of(id);
        assert_eq!((report.end, report.sent, report.refusal), (End::Done, 420_000, 0));
        assert!(report.calls > report.waits, "{report:?}");
        report
    }

    #[test]
    fn a_slow_reader_gets_the_whole_range_over_a_unix_socket() {
        let (out, peer) = narrow_pair();
        assert!(!delivers(&engine(0), out, peer, Method::Sendfile).copied);
    }

    #[test]
    fn a_slow_reader_gets_the_whole_range_over_tcp() {
        let (out, peer) = narrow_tcp_pair();
        assert!(!delivers(&engine(0), out, peer, Method::Sendfile).copied);
    }

    #[test]
    fn a_slow_reader_gets_the_whole_range_by_copies() {
        let (out, peer) = narrow_pair();
        assert!(delivers(&engine(0), out, peer, Method::Copy).copied);
    }

    #[test]
    fn one_thread_does() {
        let (out, peer) = narrow_pair();
        delivers(&engine(1), out, peer, Method::Auto);
    }

    #[test]
    fn a_transfer_goes_on_where_it_stood() {
        let engine = engine(0);
        let (sink, bytes) = (Heard::new(), pattern(MIB, 4));
        let (out, peer) = narrow_pair();
        let (id, sent) = waiting(&engine, 1, &sink, &out, &file_of(&bytes));
        assert!(sent < MIB as u64);
        drop(out);
        assert_same(&slow_reader(peer).join().unwrap(), &bytes);
        assert_eq!(sink.of(id).sent, MIB as u64);
    }

    /// Everybody's buffer holds less than a round takes, so a round ends only if all have gone on meanwhile.
    #[test]
    fn none_of_many_starves() {
        let engine = engine(0);
        let (sink, bytes) = (Heard::new(), pattern(400_000, 5));
        let file = file_of(&bytes);
        let mut peers = Vec::new();
        for turn in 0..64 {
            let (out, peer) = narrow_pair();
            let begin = if turn % 2 == 0 { Begin::WhenWritable } else { Begin::Cold };
            let transfer = owned(&engine, &out, &file, bytes.len());
            peers.push((engine.transfer(1, sink.clone(), transfer, begin).unwrap(), peer));
        }
        for round in bytes.chunks(80_000) {
            for (_, peer) in &mut peers {
                assert_same(&read_exactly(peer, round.len()), round);
            }
        }
        for (id, mut peer) in peers {
            assert_eq!(drain(&mut peer), 0);
            assert_eq!((sink.of(id).end, sink.of(id).sent), (End::Done, 400_000));
        }
        assert_eq!(sink.ids().len(), 64);
    }

    #[test]
    fn a_file_that_shrinks_is_truncated() {
        let engine = engine(0);
        let sink = Heard::new();
        let temp = Temp::of(&pattern(MIB, 6));
        let (out, mut peer) = narrow_pair();
        let (id, sent) = waiting(&engine, 1, &sink, &out, &Arc::new(temp.open().into()));
        drop(out);
        File::options().write(true).open(temp.path()).unwrap().set_len(sent + 5000).unwrap();
        assert_eq!(drain(&mut peer) as u64, sent + 5000);
        let report = sink.of(id);
        assert_eq!((report.end, report.sent), (End::Truncated, sent + 5000));
    }

    #[test]
    fn a_peer_that_leaves_is_an_error() {
        let (out, peer) = narrow_pair();
        leaves(&out, peer);
        let (out, peer) = tcp_pair();
        leaves(&out, peer);
    }

    fn leaves<P>(out: &impl AsFd, peer: P) {
        let engine = engine(0);
        let sink = Heard::new();
        // No buffer holds so much, and no disk has to.
        let temp = Temp::of(b"");
        File::options().write(true).open(temp.path()).unwrap().set_len(1 << 30).unwrap();
        let mut transfer = owned(&engine, out, &Arc::new(temp.open().into()), 1 << 30);
        assert_eq!(transfer.step(&Native, LARGE), Step::Wait);
        let sent = transfer.sent();
        let id = engine.transfer(1, sink.clone(), transfer, Begin::WhenWritable).unwrap();
        drop(peer);
        let report = sink.of(id);
        assert!(matches!(report.end, End::Failed(EPIPE | ECONNRESET)), "{report:?}");
        // Room may have come before the reset did.
        assert!(report.sent >= sent);
    }

    #[test]
    fn a_dead_peer_is_an_error_where_sigpipe_would_kill() {
        alone("engine::tests::delivery::a_dead_peer_is_an_error_where_sigpipe_would_kill", || {
            let_sigpipe_kill();
            let engine = engine(0);
            for begin in [Begin::WhenWritable, Begin::Cold] {
                let sink = Heard::new();
                let (out, peer) = narrow_pair();
                drop(peer);
                let transfer = owned(&engine, &out, &file_of(b"0123456789"), 10);
                let id = engine.transfer(1, sink.clone(), transfer, begin).unwrap();
                assert_eq!(sink.of(id).end, End::Failed(EPIPE));
            }
        });
    }
}

mod cold_files {
    use super::*;

    on_linux! {
    fn cold(bytes: &[u8]) -> Arc<OwnedFd> {
        let file = Temp::of(bytes).open();
        crate::sys::testing::drop_from_cache(&file);
        Arc::new(file.into())
    }
    }

    on_linux! {
    #[test]
    fn they_are_delivered_with_a_crew_and_without() {
        let bytes = pattern(2 * MIB, 1);
        for threads in [1, 2, 0] {
            for begin in [Begin::WhenWritable, Begin::Cold] {
                let engine = engine(threads);
                let sink = Heard::new();
                let (out, peer) = narrow_pair();
                let transfer = owned(&engine, &out, &cold(&bytes), bytes.len());
                drop(out);
                let id = engine.transfer(1, sink.clone(), transfer, begin).unwrap();
                assert_same(&slow_reader(peer).join().unwrap(), &bytes);
                assert_eq!(sink.of(id).end, End::Done);
            }
        }
    }
    }

    on_linux! {
    /// The thread on which a small transfer of this file ends.
    fn ends_on(file: &Arc<OwnedFd>, begin: Begin, wanted: Residency) -> Option<String> {
        let engine = engine(0);
        let (out, _peer) = narrow_pair();
        let transfer = owned(&engine, &out, file, 10_000);
        if transfer.residency(LARGE) != wanted {
            // A file system that cannot forget, or that does not tell.
            return None;
        }
        let (tell, told) = std::sync::mpsc::channel();
        let sink = Calls(move |_| tell.send(thread::current().name().map(str::to_owned)).unwrap());
        engine.transfer(1, Arc::new(sink), transfer, begin).unwrap();
        told.recv_timeout(PATIENCE).unwrap()
    }
    }

    on_linux! {
    #[test]
    fn their_steps_are_the_crews_and_those_of_others_the_leaders() {
        let bytes = pattern(10_000, 1);
        let name = ends_on(&cold(&bytes), Begin::WhenWritable, Residency::Cold);
        assert!(name.is_none_or(|name| name == "sendfile-crew"));
        let name = ends_on(&file_of(&bytes), Begin::WhenWritable, Residency::Hot);
        assert!(name.is_none_or(|name| name == "sendfile-lead"));
        let name = ends_on(&file_of(&bytes), Begin::Cold, Residency::Hot);
        assert!(name.is_none_or(|name| name == "sendfile-crew"));
    }
    }

    #[test]
    fn steps_that_hang_stall_nobody_whose_bytes_are_in_memory() {
        let engine = engine(2);
        let sink = Heard::new();
        let (_, mut hung) = hanging(&engine, 1, &sink);
        let (out, peer) = narrow_pair();
        let transfer = owned(&engine, &out, &file_of(&[7; MIB]), MIB);
        // Where nobody tells what is in memory, everything counts as cold.
        if transfer.residency(LARGE) == Residency::Hot {
            let id = engine.transfer(1, sink.clone(), transfer, Begin::WhenWritable).unwrap();
            drop(out);
            assert_eq!(slow_reader(peer).join().unwrap().len(), MIB);
            assert_eq!(sink.of(id).end, End::Done);
        }
        hung.shutdown(Shutdown::Both).unwrap();
        drain(&mut hung);
    }

    #[test]
    fn the_crew_grows_with_the_work() {
        let engine = engine(0);
        let sink = Heard::new();
        let hung: Vec<_> = (0..CREW_MAX - 1).map(|_| hanging(&engine, 1, &sink)).collect();
        let (out, mut peer) = narrow_pair();
        let transfer = owned(&engine, &out, &file_of(b"0123456789"), 10);
        let id = engine.transfer(1, sink.clone(), transfer, Begin::Cold).unwrap();
        assert_eq!(read_exactly(&mut peer, 10), b"0123456789");
        assert_eq!(sink.of(id).end, End::Done);
        drop(hung);
    }

    #[test]
    fn the_crew_does_not_grow_past_its_limit() {
        // Two leaders, two for the crew.
        let engine = engine(4);
        let sink = Heard::new();
        let (_first, _second) = (hanging(&engine, 1, &sink), hanging(&engine, 1, &sink));
        let (out, _peer) = narrow_pair();
        let transfer = owned(&engine, &out, &file_of(b"0123456789"), 10);
        let id = engine.transfer(1, sink.clone(), transfer, Begin::Cold).unwrap();
        assert_eq!(engine.cancel(id, false), Cancelled::Now(0));
    }

    #[test]
    fn what_is_queued_has_its_turn_when_a_thread_is_free() {
        let engine = engine(2);
        let sink = Heard::new();
        let (hung, mut hung_peer) = hanging(&engine, 1, &sink);
        let (out, mut peer) = narrow_pair();
        let transfer = owned(&engine, &out, &file_of(b"0123456789"), 10);
        let id = engine.transfer(1, sink.clone(), transfer, Begin::Cold).unwrap();
        assert_eq!(engine.cancel(hung, true), Cancelled::Soon);
        assert_eq!(read_exactly(&mut peer, 10), b"0123456789");
        assert_eq!(sink.of(id).end, End::Done);
        drain(&mut hung_peer);
    }

    #[test]
    fn without_a_crew_a_leader_does_one_step_at_a_time() {
        assert!(engine(1).crew.is_wanted());
    }
}

mod cancelling {
    use super::*;

    #[test]
    fn what_waits_is_over_at_once_with_its_exact_count() {
        let engine = engine(0);
        let sink = Heard::new();
        let file = file_of(&[7; MIB]);
        let (out, mut peer) = narrow_pair();
        let (id, sent) = waiting(&engine, 1, &sink, &out, &file);
        drop(out);
        let file = Arc::downgrade(&{ file });
        assert_eq!(engine.progress(id).unwrap().sent, sent);
        assert_eq!(engine.cancel(id, false), Cancelled::Now(sent));
        assert_eq!(file.strong_count(), 0);
        assert_eq!(drain(&mut peer) as u64, sent);
        assert_eq!(engine.progress(id), None);
        assert_eq!(engine.cancel(id, false), Cancelled::Unknown);
        assert_eq!(sink.ids(), []);
    }

    #[test]
    fn what_is_queued_is_over_at_once() {
        let engine = engine(2);
        let sink = Heard::new();
        let (hung, mut hung_peer) = hanging(&engine, 1, &sink);
        let (out, mut peer) = narrow_pair();
        let transfer = owned(&engine, &out, &file_of(b"0123456789"), 10);
        drop(out);
        let id = engine.transfer(1, sink.clone(), transfer, Begin::Cold).unwrap();
        assert_eq!(engine.cancel(id, false), Cancelled::Now(0));
        assert_eq!(drain(&mut peer), 0);
        engine.cancel(hung, true);
        drain(&mut hung_peer);
        sink.of(hung);
        assert_eq!(sink.ids(), [hung]);
    }

    #[test]
    fn what_runs_ends_after_its_step_and_is_heard_of() {
        let engine = engine(0);
        let sink = Heard::new();
        let (id, mut peer) = hanging(&engine, 1, &sink);
        assert_eq!(engine.cancel(id, false), Cancelled::Soon);
        assert_eq!(engine.cancel(id, false), Cancelled::Soon);
        assert_eq!(sink.ids(), []);
        let got = drain(&mut peer) + 1;
        let report = sink.of(id);
        assert_eq!((report.end, report.sent), (End::Cancelled, got as u64));
        assert!(report.sent < MIB as u64);
        assert_eq!(sink.ids(), [id]);
    }

    #[test]
    fn a_job_that_is_cancelled_before_its_cold_step_is_handed_over_takes_none() {
        let engine = engine(0);
        let sink = Heard::new();
        let (out, mut peer) = narrow_pair();
        let (id, sent) = waiting(&engine, 1, &sink, &out, &file_of(&[7; MIB]));
        engine.take(id, |job, work| {
            // While the leader asks the page cache.
            assert_eq!(engine.cancel(id, false), Cancelled::Soon);
            read_exactly(&mut peer, usize::try_from(sent).unwrap());
            engine.pass_on(job, work);
        });
        let report = sink.of(id);
        assert_eq!((report.end, report.sent), (End::Cancelled, sent));
    }

    #[test]
    fn hanging_up_ends_a_step_at_once() {
        let engine = engine(0);
        let sink = Heard::new();
        let (id, mut peer) = hanging(&engine, 1, &sink);
        assert_eq!(engine.cancel(id, true), Cancelled::Soon);
        // Nobody reads: the step ends all the same.
        let report = sink.of(id);
        assert_eq!(report.end, End::Cancelled);
        assert_eq!(drain(&mut peer) as u64 + 1, report.sent);
    }

    #[test]
    fn what_is_over_or_never_was_is_unknown() {
        let engine = engine(0);
        let sink = Heard::new();
        assert_eq!(engine.cancel(12345, true), Cancelled::Unknown);
        let (out, _peer) = narrow_pair();
        let transfer = owned(&engine, &out, &file_of(b"0123456789"), 10);
        let id = engine.transfer(1, sink.clone(), transfer, Begin::WhenWritable).unwrap();
        assert_eq!(sink.of(id).end, End::Done);
        assert_eq!(engine.cancel(id, true), Cancelled::Unknown);
        until("the job is forgotten", || engine.progress(id).is_none());
    }

    /// A descriptor that the poller still knew would come back as an error under the same number.
    #[test]
    fn a_socket_whose_transfers_were_cancelled_takes_the_next() {
        let engine = engine(0);
        let (sink, file) = (Heard::new(), file_of(&[7; MIB]));
        let (out, peer) = narrow_pair();
        let (first, sent) = waiting(&engine, 1, &sink, &out, &file);
        assert_eq!(engine.cancel(first, false), Cancelled::Now(sent));
        for _ in 0..20 {
            let transfer = owned(&engine, &out, &file, MIB);
            let id = engine.transfer(1, sink.clone(), transfer, Begin::WhenWritable).unwrap();
            assert_eq!(engine.cancel(id, false), Cancelled::Now(0));
        }
        let transfer = owned(&engine, &out, &file, MIB);
        let id = engine.transfer(1, sink.clone(), transfer, Begin::WhenWritable).unwrap();
        drop(out);
        assert_eq!(slow_reader(peer).join().unwrap().len() as u64, sent + MIB as u64);
        assert_eq!(sink.of(id).end, End::Done);
        assert_eq!(sink.ids(), [id]);
    }
}

mod reports {
    use super::*;

    #[test]
    fn progress_follows_the_bytes() {
        let engine = engine(0);
        let sink = Heard::new();
        let (out, mut peer) = narrow_pair();
        let (id, sent) = waiting(&engine, 1, &sink, &out, &file_of(&[7; MIB]));
        until("time passes", || engine.progress(id).unwrap().idle_ms >= 20);
        assert_eq!(engine.progress(id).unwrap().sent, sent);
        read_exactly(&mut peer, usize::try_from(sent).unwrap());
        until("bytes follow", || engine.progress(id).unwrap().sent > sent);
        drop(out);
        drain(&mut peer);
        let report = sink.of(id);
        // Once at least: the rest is more than the buffers hold.
        assert!(report.end == End::Done && report.waits > 0, "{report:?}");
    }

    #[test]
    fn the_idle_time_starts_again_with_every_byte() {
        let (sink, id) = (Heard::new(), 1);
        let job = Job::new(id, 1, sink, 10);
        until("time passes", || job.progress().idle_ms >= 50);
        job.note(10);
        assert!(job.progress().idle_ms >= 50);
        let noted = Instant::now();
        job.note(11);
        let progress = job.progress();
        assert!(u128::from(progress.idle_ms) <= noted.elapsed().as_millis() + 1);
        assert_eq!(progress.sent, 11);
    }

    #[test]
    fn whoever_hears_of_the_end_finds_the_descriptors_closed_and_no_lock_held() {
        let engine = engine(0);
        let file = file_of(b"0123456789");
        let weak: Weak<OwnedFd> = Arc::downgrade(&file);
        let (out, peer) = narrow_pair();
        let transfer = owned(&engine, &out, &file, 10);
        drop((out, file));
        let (tell, told) = std::sync::mpsc::channel();
        let inside = Arc::clone(&engine);
        let sink = Calls(move |report: Report| {
            let closed = weak.strong_count() == 0;
            let end = drain(&mut &peer) == 10;
            let free = inside.cancel(report.id, true) == Cancelled::Unknown
                && inside.opened(report.id).is_none()
                && inside.progress(report.id).is_some();
            inside.abandon(77);
            tell.send((report.end, closed, end, free)).unwrap();
        });
        engine.transfer(1, Arc::new(sink), transfer, Begin::WhenWritable).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok((End::Done, true, true, true)));
    }

    #[test]
    fn a_refusal_of_the_kernel_is_told() {
        let (sink, work) = (Heard::new(), Temp::of(b""));
        let appending = File::options().append(true).open(work.path()).unwrap();
        let engine = engine(0);
        let mut transfer = owned(&engine, &appending, &file_of(b"0123456789"), 10);
        assert_eq!(transfer.step(&Native, LARGE), Step::Done);
        let job = Job::new(1, 1, sink, 0);
        job.waited();
        let report = job.report(Some(&Work::Transfer(Box::new(transfer))), End::Done);
        let wanted =
            Report { id: 1, end: End::Done, sent: 10, calls: 2, waits: 1, copied: true, refusal: EINVAL };
        assert_eq!(report, wanted);
    }
}

on_linux! {
    /// A regular file stands for a socket that the poller cannot take: it is refused like one that there is no watch
    /// for.
    #[test]
    fn without_a_watch_a_transfer_is_given_back_as_far_as_it_has_come() {
        let (engine, sink, work) = (engine(0), Heard::new(), Temp::of(b""));
        let out = File::options().write(true).open(work.path()).unwrap();
        for sent in [0, 4096] {
            let mut transfer = owned(&engine, &out, &file_of(&[7; MIB]), MIB);
            if sent > 0 {
                assert_eq!(transfer.step(&Native, sent), Step::Again);
            }
            let id = engine.transfer(1, sink.clone(), transfer, Begin::WhenWritable).unwrap();
            let report = sink.of(id);
            assert_eq!((report.end, report.sent), (End::Refused(EPERM), sent));
        }
        until("every job is forgotten", || engine.jobs().is_empty());
    }
}

/// A step that panics: its sums do not fit. Nobody outside can ask for that.
fn impossible(engine: &Engine, out: &impl AsFd, file: &Arc<OwnedFd>) -> Owned {
    let held = engine.hold(out.as_fd()).unwrap();
    Transfer::new(held, Arc::clone(file), 0, u64::MAX, Method::Auto).framed([7].into(), Box::default())
}

mod panics {
    use super::*;

    #[test]
    fn one_in_a_step_ends_its_job_and_no_other() {
        alone("engine::tests::panics::one_in_a_step_ends_its_job_and_no_other", || {
            // Each would tell of itself.
            let tell = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !thread::current().name().is_some_and(|name| name.starts_with("sendfile-")) {
                    tell(info);
                }
            }));
            for (threads, begin) in [1, 2, 0].into_iter().flat_map(|threads| {
                [Begin::WhenWritable, Begin::Cold].into_iter().map(move |begin| (threads, begin))
            }) {
                let engine = engine(threads);
                let sink = Heard::new();
                // More than there are threads of either kind.
                for _ in 0..40 {
                    let (out, mut peer) = narrow_pair();
                    let file = file_of(b"0123456789");
                    let transfer = impossible(&engine, &out, &file);
                    drop(out);
                    let id = engine.transfer(1, sink.clone(), transfer, begin).unwrap();
                    assert_eq!(sink.of(id).end, End::Failed(libc::EIO));
                    // Its descriptors are closed, and it is forgotten.
                    assert_eq!(drain(&mut peer), 0);
                    assert_eq!(Arc::strong_count(&file), 1);
                    until("it is forgotten", || engine.progress(id).is_none());
                }
                let (out, mut peer) = narrow_pair();
                let transfer = owned(&engine, &out, &file_of(b"0123456789"), 10);
                let id = engine.transfer(1, sink.clone(), transfer, begin).unwrap();
                assert_eq!(read_exactly(&mut peer, 10), b"0123456789");
                assert_eq!(sink.of(id).end, End::Done);
            }
        });
    }
}

mod owners {
    use super::*;

    #[test]
    fn abandoning_ends_all_jobs_of_one_owner_and_no_others() {
        let engine = engine(2);
        let (mine, others, file) = (Heard::new(), Heard::new(), file_of(&[7; MIB]));
        let ((out_1, mut peer_1), (out_2, peer_2)) = (narrow_pair(), narrow_pair());
        let (_, sent) = waiting(&engine, 1, &mine, &out_1, &file);
        let (other, _) = waiting(&engine, 2, &others, &out_2, &file);
        let path = Temp::of(b"0123456789");
        let opening = engine.open(1, mine.clone(), c_path(&path)).unwrap();
        assert_eq!(mine.of(opening).end, End::Done);
        let (_, mut hung) = hanging(&engine, 1, &mine);
        let (out_3, mut peer_3) = narrow_pair();
        let queued = owned(&engine, &out_3, &file, MIB);
        engine.transfer(1, mine.clone(), queued, Begin::Cold).unwrap();
        drop((out_1, out_2, out_3));

        mine.shut.store(true, Ordering::SeqCst);
        engine.abandon(1);
        assert_eq!(drain(&mut peer_1) as u64, sent);
        assert_eq!(drain(&mut peer_3), 0);
        // What was running ends after its step.
        assert!(drain(&mut hung) < MIB);
        until("nothing of it is left", || engine.jobs().values().all(|job| job.owner != 1));
        assert!(engine.opened(opening).is_none());
        assert_eq!(mine.ids(), [opening]);

        assert_eq!(slow_reader(peer_2).join().unwrap().len(), MIB);
        assert_eq!(others.of(other).end, End::Done);
    }

    #[test]
    fn what_waits_is_not_heard_of_when_it_is_abandoned() {
        let engine = engine(0);
        let sink = Heard::new();
        let (out, mut peer) = narrow_pair();
        waiting(&engine, 1, &sink, &out, &file_of(&[7; MIB]));
        drop(out);
        engine.abandon(1);
        drain(&mut peer);
        // The engine lets go of the sink too.
        assert_eq!(Arc::strong_count(&sink), 1);
        assert_eq!(sink.ids(), []);
    }

    #[test]
    fn an_open_file_that_nobody_fetches_is_closed_when_it_is_abandoned() {
        let engine = engine(0);
        let sink = Heard::new();
        let path = Temp::of(b"0123456789");
        let id = engine.open(1, sink.clone(), c_path(&path)).unwrap();
        assert_eq!(sink.of(id).end, End::Done);
        engine.abandon(2);
        assert!(engine.progress(id).is_some());
        engine.abandon(1);
        assert!(engine.jobs().is_empty());
        assert!(engine.opened(id).is_none());
    }
}

fn c_path(temp: &Temp) -> CString {
    CString::new(temp.path().as_os_str().as_encoded_bytes()).unwrap()
}

mod opening {
    use super::*;

    #[test]
    fn a_path_becomes_a_file_that_is_fetched_once() {
        let engine = engine(0);
        let sink = Heard::new();
        let temp = Temp::of(b"0123456789");
        let id = engine.open(1, sink.clone(), c_path(&temp)).unwrap();
        assert_eq!(sink.of(id).end, End::Done);
        let source = engine.opened(id).unwrap();
        assert_eq!(source.size, Some(10));
        let mut text = String::new();
        File::from(source.fd).read_to_string(&mut text).unwrap();
        assert_eq!(text, "0123456789");
        assert!(engine.opened(id).is_none());
        assert!(engine.jobs().is_empty());
    }

    #[test]
    fn what_is_no_file_is_an_error() {
        let engine = engine(0);
        let sink = Heard::new();
        let pipe = Temp::name();
        fifo(pipe.path());
        let missing = c_path(&Temp::name());
        for (path, errno) in [(c_path(&pipe), EINVAL), (missing, ENOENT), (c"/".into(), EISDIR)] {
            let id = engine.open(1, sink.clone(), path).unwrap();
            assert_eq!(sink.of(id).end, End::Failed(errno));
            assert!(engine.opened(id).is_none());
        }
    }

    #[test]
    fn a_file_that_is_let_go_is_closed_with_a_crew_and_without() {
        for threads in [0, 1] {
            let engine = engine(threads);
            let (reading, writing) = io::pipe().unwrap();
            engine.close(Arc::new(OwnedFd::from(writing)));
            // The other end hears of it.
            assert_eq!((&reading).read(&mut [0]).unwrap(), 0);
            until("the job is forgotten", || engine.jobs().is_empty());
        }
    }

    #[test]
    fn without_a_thread_for_it_it_is_eagain() {
        let engine = engine(1);
        assert_eq!(engine.open(1, Heard::new(), c"/".into()), Err(EAGAIN));
        assert!(engine.jobs().is_empty());
    }

    #[test]
    fn what_is_queued_is_over_at_once_when_it_is_cancelled() {
        let engine = engine(2);
        let sink = Heard::new();
        let (hung, mut peer) = hanging(&engine, 1, &sink);
        let temp = Temp::of(b"0123456789");
        let first = engine.open(1, sink.clone(), c_path(&temp)).unwrap();
        let second = engine.open(1, sink.clone(), c_path(&temp)).unwrap();
        assert_eq!(engine.cancel(first, false), Cancelled::Now(0));
        engine.cancel(hung, true);
        drain(&mut peer);
        assert_eq!(sink.of(second).end, End::Done);
        assert!(!sink.ids().contains(&first));
        assert!(engine.opened(first).is_none());
    }

    #[test]
    fn a_file_opened_for_nobody_is_closed_and_told_as_cancelled() {
        let engine = engine(0);
        let sink = Heard::new();
        let temp = Temp::of(b"0123456789");
        let job = engine.admit(1, sink.clone(), 0);
        assert_eq!(engine.cancel(job.id, false), Cancelled::Soon);
        engine.keep(&job, open::open(&c_path(&temp)).unwrap());
        assert_eq!(sink.of(job.id).end, End::Cancelled);
        assert!(job.take_opened().is_none());
        assert!(engine.jobs().is_empty());
    }

    #[test]
    fn fetching_a_file_from_a_transfer_does_it_no_harm() {
        let engine = engine(0);
        let sink = Heard::new();
        let (out, mut peer) = narrow_pair();
        let (id, _) = waiting(&engine, 1, &sink, &out, &file_of(&[7; MIB]));
        drop(out);
        assert!(engine.opened(id).is_none());
        assert_eq!(drain(&mut peer), MIB);
        assert_eq!(sink.of(id).end, End::Done);
    }
}

mod becoming_writable {
    use super::*;

    fn writable(engine: &Arc<Engine>, sink: &Arc<Heard>, out: &impl AsFd) -> usize {
        engine.writable(1, sink.clone(), engine.hold(out.as_fd()).unwrap()).unwrap()
    }

    fn fill(mut out: &UnixStream) -> usize {
        let mut total = 0;
        while let Ok(n) = out.write(&[7; 4096]) {
            total += n;
        }
        total
    }

    #[test]
    fn an_empty_socket_is_writable_at_once() {
        let (engine, sink, (out, _peer)) = (engine(0), Heard::new(), narrow_pair());
        let id = writable(&engine, &sink, &out);
        let report = sink.of(id);
        assert_eq!((report.end, report.sent), (End::Done, 0));
    }

    #[test]
    fn a_regular_file_is_writable_at_once() {
        let (engine, sink, temp) = (engine(0), Heard::new(), Temp::of(b""));
        let out = File::options().write(true).open(temp.path()).unwrap();
        let id = writable(&engine, &sink, &out);
        assert_eq!(sink.of(id).end, End::Done);
    }

    #[test]
    fn a_full_socket_is_writable_once_its_peer_has_read() {
        // One leader, who takes what is ready in turn.
        let engine = engine(1);
        let (sink, (out, mut peer), (empty, _peer)) = (Heard::new(), narrow_pair(), narrow_pair());
        let filled = fill(&out);
        let full = writable(&engine, &sink, &out);
        for _ in 0..5 {
            let other = writable(&engine, &sink, &empty);
            assert_eq!(sink.of(other).end, End::Done);
        }
        assert!(!sink.ids().contains(&full));
        read_exactly(&mut peer, filled);
        assert_eq!(sink.of(full).end, End::Done);
    }

    #[test]
    fn a_peer_that_leaves_ends_the_wait() {
        let (engine, sink, (out, peer)) = (engine(0), Heard::new(), narrow_pair());
        fill(&out);
        let id = writable(&engine, &sink, &out);
        drop(peer);
        assert_eq!(sink.of(id).end, End::Done);
    }

    #[test]
    fn cancelling_lets_go_of_the_socket() {
        let (engine, sink, (out, mut peer)) = (engine(0), Heard::new(), narrow_pair());
        let filled = fill(&out);
        let id = writable(&engine, &sink, &out);
        drop(out);
        assert_eq!(engine.cancel(id, false), Cancelled::Now(0));
        assert_eq!(drain(&mut peer), filled);
        assert_eq!(sink.ids(), []);
    }
}

on_linux! {
/// What the process as a whole is left with: each in a process of its own.
mod leftovers {
    use super::*;

    fn descriptors() -> usize {
        fs::read_dir("/proc/self/fd").unwrap().count()
    }

    fn threads() -> usize {
        fs::read_dir("/proc/self/task").unwrap().count()
    }

    /// The status files of the engine's threads of this name. A thread may end while it is looked at.
    fn named(name: &str) -> Vec<String> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let status = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok());
        status.filter(|status| status.starts_with(&format!("Name:\t{name}\n"))).collect()
    }

    /// One transfer of every end.
    fn every_end(engine: &Arc<Engine>) {
        let (sink, file) = (Heard::new(), file_of(&[7; MIB]));
        let (out, mut peer) = narrow_pair();
        let (id, _) = waiting(engine, 1, &sink, &out, &file);
        drop(out);
        drain(&mut peer);
        assert_eq!(sink.of(id).end, End::Done);

        let (out, _peer) = narrow_pair();
        let (id, sent) = waiting(engine, 1, &sink, &out, &file);
        assert_eq!(engine.cancel(id, false), Cancelled::Now(sent));

        let (out, peer) = narrow_pair();
        let (id, _) = waiting(engine, 1, &sink, &out, &file);
        drop(peer);
        assert!(matches!(sink.of(id).end, End::Failed(_)));

        let (out, _peer) = narrow_pair();
        let transfer = owned(engine, &out, &file_of(b"0123456789"), 11);
        let id = engine.transfer(1, sink.clone(), transfer, Begin::Cold).unwrap();
        assert_eq!(sink.of(id).end, End::Truncated);

        let (id, _peer) = hanging(engine, 1, &sink);
        engine.cancel(id, true);
        assert_eq!(sink.of(id).end, End::Cancelled);

        let temp = Temp::of(b"0123456789");
        let fetched = engine.open(1, sink.clone(), c_path(&temp)).unwrap();
        let abandoned = engine.open(2, sink.clone(), c_path(&temp)).unwrap();
        sink.of(fetched);
        sink.of(abandoned);
        assert!(engine.opened(fetched).is_some());
        engine.abandon(2);

        let (out, _peer) = narrow_pair();
        let writable = engine.writable(1, sink.clone(), engine.hold(out.as_fd()).unwrap()).unwrap();
        assert_eq!(sink.of(writable).end, End::Done);
    }

    #[test]
    fn no_descriptor_is_left_whatever_the_end() {
        alone("engine::tests::leftovers::no_descriptor_is_left_whatever_the_end", || {
            let engine = engine(0);
            every_end(&engine);
            let before = descriptors();
            for _ in 0..20 {
                every_end(&engine);
                assert_eq!(descriptors(), before);
            }
            until("every job is forgotten", || engine.jobs().is_empty());
        });
    }

    #[test]
    fn an_engine_without_work_has_no_thread_and_three_descriptors() {
        alone("engine::tests::leftovers::an_engine_without_work_has_no_thread_and_three_descriptors", || {
            let (threads_before, descriptors_before) = (threads(), descriptors());
            let _engine = engine(0);
            assert_eq!((threads(), descriptors()), (threads_before, descriptors_before + 3));
        });
    }

    #[test]
    fn transfers_have_no_threads_of_their_own() {
        alone("engine::tests::leftovers::transfers_have_no_threads_of_their_own", || {
            let engine = engine(0);
            let (sink, file) = (Heard::new(), file_of(&[7; MIB]));
            let before = threads();
            let mut pairs = Vec::new();
            for _ in 0..200 {
                let (out, peer) = narrow_pair();
                let (id, _) = waiting(&engine, 1, &sink, &out, &file);
                pairs.push((id, out, peer));
            }
            assert_eq!(threads(), before + 2);
            for (id, _, _) in &pairs {
                assert!(matches!(engine.cancel(*id, false), Cancelled::Now(_)));
            }
        });
    }

    #[test]
    fn there_are_no_more_threads_than_allowed_and_the_crew_leaves_when_idle() {
        alone(
            "engine::tests::leftovers::there_are_no_more_threads_than_allowed_and_the_crew_leaves_when_idle",
            || {
                let before = threads();
                let engine = engine(5);
                let sink = Heard::new();
                let mut hung = vec![hanging(&engine, 1, &sink), hanging(&engine, 1, &sink)];
                hung.push(hanging(&engine, 1, &sink));
                let file = file_of(b"0123456789");
                for _ in 0..20 {
                    let (out, _peer) = narrow_pair();
                    let transfer = owned(&engine, &out, &file, 10);
                    engine.transfer(1, sink.clone(), transfer, Begin::Cold).unwrap();
                }
                assert_eq!(threads(), before + 5);
                // A thread names itself once it runs.
                until("two leaders", || named("sendfile-lead").len() == 2);
                until("a crew of three", || named("sendfile-crew").len() == 3);
                engine.abandon(1);
                drop(hung);
                until("the crew leaves", || named("sendfile-crew").is_empty());
                assert_eq!(threads(), before + 2);
                // And comes back.
                let (out, _peer) = narrow_pair();
                let transfer = owned(&engine, &out, &file, 10);
                let id = engine.transfer(2, sink.clone(), transfer, Begin::Cold).unwrap();
                assert_eq!(sink.of(id).end, End::Done);
            },
        );
    }

    #[test]
    fn its_threads_run_nobodys_signal_handlers() {
        alone("engine::tests::leftovers::its_threads_run_nobodys_signal_handlers", || {
            let engine = engine(0);
            let sink = Heard::new();
            let (_id, _peer) = hanging(&engine, 1, &sink);
            let blocked = |status: &str| {
                let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
                u64::from_str_radix(mask, 16).unwrap()
            };
            let has = |mask: u64, signal: i32| mask & (1 << (signal - 1)) != 0;
            let all = |name: &str| {
                let status = named(name);
                !status.is_empty()
                    && status.iter().map(|status| blocked(status)).all(|mask| {
                        [libc::SIGPIPE, libc::SIGUSR1, libc::SIGTERM, libc::SIGCHLD, libc::SIGPROF]
                            .iter()
                            .all(|&signal| has(mask, signal))
                            && !has(mask, libc::SIGSEGV)
                            && !has(mask, libc::SIGBUS)
                    })
            };
            // A leader blocks them before it does anything, but may not have begun.
            until("the leaders block signals", || all("sendfile-lead"));
            assert!(all("sendfile-crew"));
        });
    }
}
}
