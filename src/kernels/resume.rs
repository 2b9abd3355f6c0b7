//! The full loop on every kernel: what comes out of the socket is headers, file and trailers, whatever happens on the
//! way, and no count lies.

use std::io;

use libc::EAGAIN;
use proptest::prelude::*;

use super::*;
use crate::sys::fake::machine::Stop;
use crate::testing::{after, assert_same, pattern};
use crate::transfer::{Method, Step, Transfer};

super::on_every_kernel! {
    attempts_by_their_counts_alone_lose_and_repeat_no_byte,
    whatever_happens_transfers_lose_and_repeat_no_byte,
    whatever_happens_a_transfer_knows_what_arrived,
    more_buffers_than_one_call_takes_arrive_in_order,
    a_transfer_to_a_pipe_arrives_by_one_way_or_the_other,
    nothing_stands_in_the_place_of_bytes_that_a_file_has_lost,
}
// A kernel that knows no sendfile still has transfers.
super::on! { unsupported Nothing
    whatever_happens_transfers_lose_and_repeat_no_byte
    whatever_happens_a_transfer_knows_what_arrived
    a_transfer_to_a_pipe_arrives_by_one_way_or_the_other
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Things after which it goes on.
fn passing() -> impl Strategy<Value = Vec<Fate>> {
    let stop = prop_oneof![3 => Just(Stop::Full), 2 => Just(Stop::Signal), 1 => Just(Stop::Busy)];
    let room = prop_oneof![1 => Just(0), 3 => 1..60_u64, 3 => 60..6000_u64];
    prop::collection::vec((room, stop).prop_map(|(room, stop)| Fate { room, stop }), 0..24)
}

fn buffers() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let few = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5);
    let many = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..40);
    prop_oneof![2 => few, 1 => many]
}

/// Files that kernels treat as small, and others.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 0..300_usize, 2 => 300..20_000_usize, 2 => 20_000..90_000_usize]
}

/// How much the peer reads each time that the socket is full; then it reads all.
fn sips() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..9000_usize, 0..12)
}

fn attempts_by_their_counts_alone_lose_and_repeat_no_byte<S: Subject>() {
    let inputs = (length(), 0..5000_usize, buffers(), buffers(), passing(), sips(), any::<bool>());
    proptest!(cases(48), |((length, skipped, headers, trailers, fates, sips, null) in inputs)| {
        let bytes = pattern(length, 1);
        let start = skipped.min(length);
        let rig = Rig::<S>::fated(&bytes, fates).narrow();
        if null {
            rig.seek(start as u64);
        }
        resume(&rig, &bytes, start, [&headers, &trailers], sips, null);
    });
}

/// Attempts with nothing to go by but the counts; `null` leaves the file's position to them.
fn resume<S: Subject>(
    rig: &Rig<S>,
    bytes: &[u8],
    start: usize,
    [headers, trailers]: [&[Vec<u8>]; 2],
    sips: Vec<usize>,
    null: bool,
) {
    let wanted = [&headers.concat()[..], &bytes[start..], &trailers.concat()].concat();
    let (head, file) = (headers.concat().len(), bytes.len() - start);
    let mut sips = sips.into_iter();
    let mut done = 0;
    let mut idle = 0;
    while done < wanted.len() {
        let in_file = done.saturating_sub(head).min(file);
        let ask = Ask {
            offset: (!null).then_some((start + in_file) as u64),
            nbytes: Some((file - in_file) as u64),
            headers: &after(headers, done),
            trailers: &after(trailers, done.saturating_sub(head + file)),
            flags: 0,
        };
        match rig.attempt(&ask).result() {
            Ok(0) => panic!("nothing more after {done} of {}", wanted.len()),
            Ok(sent) => {
                done += usize::try_from(sent).unwrap();
                idle = 0;
            }
            Err(errno) => {
                assert_eq!(errno, EAGAIN);
                rig.drain(sips.next().unwrap_or(usize::MAX));
                idle += 1;
                assert!(idle < 100, "full again and again");
            }
        }
        let in_file = done.saturating_sub(head).min(file);
        assert_eq!(rig.position(), if null { start + in_file } else { 0 } as u64);
    }
    assert_same(&rig.received(), &wanted);
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![3 => Just(Method::Auto), 2 => Just(Method::Sendfile), 1 => Just(Method::Copy)]
}

/// Steps until the end, which comes soon.
fn run<S: Subject>(rig: &Rig<S>, bytes: &[u8], method: Method, budget: u64, sips: Vec<usize>) -> (u64, Step) {
    let mut transfer = Transfer::new(&rig.out, &rig.input, 0, bytes.len() as u64, method)
        .framed((*b"head").into(), (*b"tail").into());
    let mut sips = sips.into_iter();
    for _ in 0..100_000 {
        match transfer.step(&rig.kernel, budget) {
            Step::Again => {}
            Step::Wait => {
                rig.drain(sips.next().unwrap_or(usize::MAX));
            }
            end => return (transfer.sent(), end),
        }
    }
    panic!("no end in sight");
}

fn whatever_happens_transfers_lose_and_repeat_no_byte<S: Subject>() {
    let inputs = (length(), method(), 1..50_000_u64, passing(), sips());
    proptest!(cases(48), |((length, method, budget, fates, sips) in inputs)| {
        let method = if S::Kernel::SYSCALL.is_none() { Method::Auto } else { method };
        let bytes = pattern(length, 2);
        let rig = Rig::<S>::fated(&bytes, fates).narrow();
        let (sent, end) = run(&rig, &bytes, method, budget, sips);
        assert_eq!((sent, end), (length as u64 + 8, Step::Done));
        assert_same(&rig.received(), &[&b"head"[..], &bytes, b"tail"].concat());
    });
}

fn whatever_happens_a_transfer_knows_what_arrived<S: Subject>() {
    let last = (0..30_000_u64, prop_oneof![Just(Stop::Gone), Just(Stop::Reset), Just(Stop::Disk)]);
    let inputs = (length(), method(), 1..50_000_u64, passing(), last, sips());
    proptest!(cases(48), |((length, method, budget, mut fates, (room, stop), sips) in inputs)| {
        let bytes = pattern(length, 3);
        fates.push(Fate { room, stop });
        let rig = Rig::<S>::fated(&bytes, fates).narrow();
        let (sent, _) = run(&rig, &bytes, method, budget, sips);
        let wanted = [&b"head"[..], &bytes, b"tail"].concat();
        assert_same(&rig.received(), &wanted[..usize::try_from(sent).unwrap()]);
    });
}

fn more_buffers_than_one_call_takes_arrive_in_order<S: Subject>() {
    let many = |seed| pattern(4_500, seed).chunks(3).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let bytes = pattern(100, 6);
    let rig = Rig::<S>::new(&bytes).narrow();
    resume(&rig, &bytes, 0, [&many(5), &many(7)], Vec::new(), false);
}

fn a_transfer_to_a_pipe_arrives_by_one_way_or_the_other<S: Subject>() {
    let bytes = pattern(3000, 4);
    let rig = Rig::<S>::new(&bytes);
    let (mut reader, pipe) = io::pipe().unwrap();
    let mut transfer =
        Transfer::new(&pipe, &rig.input, 0, 3000, Method::Auto).framed((*b"head").into(), (*b"tail").into());
    assert_eq!(transfer.step(&rig.kernel, u64::MAX), Step::Done);
    assert_eq!(transfer.sent(), 3008);
    drop(pipe);
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    assert_same(&got, &[&b"head"[..], &bytes, b"tail"].concat());
}

fn nothing_stands_in_the_place_of_bytes_that_a_file_has_lost<S: Subject>() {
    for (head, there) in [(&b"head"[..], 2000), (b"", 2000), (b"head", 10), (b"", 0)] {
        // 3000 bytes are promised.
        let bytes = pattern(there, 4);
        let rig = Rig::<S>::new(&bytes);
        let mut transfer =
            Transfer::new(&rig.out, &rig.input, 0, 3000, Method::Auto).framed(head.into(), (*b"TAIL").into());
        let step = transfer.step(&rig.kernel, u64::MAX);
        assert_same(&rig.received(), &[head, &bytes[..]].concat());
        assert_eq!((step, transfer.sent()), (Step::Truncated, (head.len() + there) as u64));
    }
}
