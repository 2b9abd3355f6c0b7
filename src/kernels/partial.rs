//! What holds on every kernel when something happens after some bytes: the count is what the peer got, and no errno
//! hides it.

use libc::{EAGAIN, EBUSY, EIO, ENOSYS, EPERM, EPIPE};

use super::*;
use crate::sys::fake::freebsd::SF_NODISKIO;
use crate::sys::fake::machine::Stop;
use crate::testing::{assert_same, pattern};
use crate::transfer::{Method, Step, Transfer};

super::on_emulated_kernels! {
    a_count_is_what_arrived_wherever_it_ends,
    a_count_is_what_arrived_of_a_large_file,
    an_errno_at_no_byte_is_told,
    a_signal_at_no_byte_is_not_told,
    what_ended_a_count_is_told_by_the_next_attempt,
    the_position_moves_by_what_went_out_of_the_file,
    a_call_that_a_sandbox_refuses_has_no_count,
    a_transfer_that_a_sandbox_refuses_arrives_by_copying,
    a_file_cut_short_meanwhile_is_counted_as_it_went_out,
}

const STOPS: [Stop; 6] = [Stop::Full, Stop::Signal, Stop::Busy, Stop::Gone, Stop::Reset, Stop::Disk];

const WANTED: &[u8] = b"head0123456789tail";

fn stopped<S: Subject>(room: u64, stop: Stop) -> Rig<S> {
    Rig::fated(b"0123456789", [Fate { room, stop }])
}

/// Splits a count as the request's parts do.
fn split(count: u64, [headers, file, trailers]: [u64; 3]) -> [u64; 3] {
    let in_headers = count.min(headers);
    let in_file = (count - in_headers).min(file);
    [in_headers, in_file, (count - in_headers - in_file).min(trailers)]
}

fn a_count_is_what_arrived_wherever_it_ends<S: Subject>() {
    for stop in STOPS {
        for room in 1..=18 {
            let rig = stopped::<S>(room, stop);
            let tally = rig.attempt(&FRAMED);
            let received = rig.received();
            assert_eq!(tally.result(), Ok(received.len() as u64), "{stop:?} after {room}: {tally:?}");
            assert_same(&received, &WANTED[..received.len()]);
            assert!(received.len() as u64 >= room);
            let parts = [tally.headers, tally.file, tally.trailers];
            assert_eq!(parts, split(received.len() as u64, [4, 10, 4]));
        }
    }
}

fn a_count_is_what_arrived_of_a_large_file<S: Subject>() {
    let bytes = pattern(50_000, 8);
    for stop in STOPS {
        for room in [1, 2000, 2999] {
            for ask in [ALL, FRAMED] {
                let rig = Rig::<S>::fated(&bytes, [Fate { room, stop }]);
                let sent = rig.attempt(&ask).result().unwrap();
                let wanted = [&ask.headers.concat()[..], &bytes, &ask.trailers.concat()].concat();
                assert_same(&rig.received(), &wanted[..usize::try_from(sent).unwrap()]);
            }
        }
    }
}

fn an_errno_at_no_byte_is_told<S: Subject>() {
    for stop in [Stop::Full, Stop::Gone, Stop::Reset, Stop::Disk] {
        for ask in [ALL, FRAMED] {
            let rig = stopped::<S>(0, stop);
            assert_eq!(rig.attempt(&ask).result(), Err(stop.errno()));
            assert_eq!(rig.received(), b"");
        }
    }
}

fn a_signal_at_no_byte_is_not_told<S: Subject>() {
    let signals = [Fate { room: 0, stop: Stop::Signal }; 3];
    for ask in [ALL, FRAMED] {
        let rig = Rig::<S>::fated(b"0123456789", signals);
        let framed = ask.headers.len() as u64 * 4;
        assert_eq!(rig.attempt(&ask).result(), Ok(10 + framed));
    }
}

fn what_ended_a_count_is_told_by_the_next_attempt<S: Subject>() {
    for stop in [Stop::Gone, Stop::Reset] {
        for room in 1..18 {
            let rig = stopped::<S>(room, stop);
            let done = rig.attempt(&FRAMED).result().unwrap();
            assert_eq!(done, room);
            let rest = &WANTED[usize::try_from(room).unwrap()..];
            let next = rig.attempt(&Ask { nbytes: Some(0), headers: &[rest], ..ALL });
            let errno = next.result().unwrap_err();
            assert!(errno == EPIPE || errno == stop.errno(), "{errno}");
        }
    }
}

fn the_position_moves_by_what_went_out_of_the_file<S: Subject>() {
    for stop in STOPS {
        for room in 0..=18 {
            let rig = stopped::<S>(room, stop);
            let tally = rig.attempt(&Ask { offset: None, ..FRAMED });
            let [_, file, _] = split(rig.received().len() as u64, [4, 10, 4]);
            assert_eq!((rig.position(), tally.file), (file, file), "{stop:?} after {room}");
        }
    }
}

fn a_call_that_a_sandbox_refuses_has_no_count<S: Subject>() {
    for errno in [EPERM, ENOSYS] {
        let rig = Rig::<S>::new(b"0123456789");
        rig.machine.forbid(errno);
        assert_eq!(rig.attempt(&ALL).result(), Err(errno));
        let tally = rig.attempt(&FRAMED);
        assert_eq!((tally.file, tally.trailers, tally.errno), (0, 0, errno));
        assert_eq!(rig.received().len() as u64, tally.headers);
    }
}

fn a_transfer_that_a_sandbox_refuses_arrives_by_copying<S: Subject>() {
    for errno in [EPERM, ENOSYS] {
        let rig = Rig::<S>::new(b"0123456789");
        rig.machine.forbid(errno);
        let mut transfer = Transfer::new(&rig.out, &rig.input, 0, 10, Method::Auto)
            .framed((*b"head").into(), (*b"tail").into());
        assert_eq!(transfer.step(&rig.kernel, u64::MAX), Step::Done);
        assert_eq!((transfer.refusal(), transfer.copies()), (errno, true));
        assert_eq!(rig.received(), WANTED);
    }
}

fn a_file_cut_short_meanwhile_is_counted_as_it_went_out<S: Subject>() {
    for (offset, left) in [(Some(0), 6), (None, 6), (Some(0), 0), (None, 0)] {
        for ask in [ALL, FRAMED] {
            let rig = Rig::<S>::new(b"0123456789");
            let file = File::options().write(true).open(rig.file.path()).unwrap();
            rig.machine.meanwhile(move || file.set_len(left).unwrap());
            let tally = rig.attempt(&Ask { offset, ..ask });
            let received = rig.received();
            assert_eq!(tally.total(), received.len() as u64);
            let digits = received.iter().filter(|byte| byte.is_ascii_digit()).count() as u64;
            assert!(digits <= left);
            assert_eq!((rig.position(), tally.file), (offset.map_or(digits, |_| 0), digits), "{tally:?}");
        }
    }
}

#[test]
fn freebsd_tells_of_busy_pages_only_who_asks_it_to() {
    let busy = || Rig::<FreeBsd14>::fated(b"0123456789", [3, 0].map(|room| Fate { room, stop: Stop::Busy }));
    assert_eq!(busy().attempt(&ALL).result(), Ok(10));
    let rig = busy();
    let flagged = Ask { flags: SF_NODISKIO, ..ALL };
    assert_eq!(rig.attempt(&flagged), Tally { file: 3, errno: EBUSY, ..Tally::default() });
    assert_eq!(rig.attempt(&Ask { offset: Some(3), ..flagged }).result(), Err(EBUSY));
    assert_eq!(rig.attempt(&Ask { offset: Some(3), ..flagged }).result(), Ok(7));
    assert_eq!(rig.received(), b"0123456789");
}

#[test]
fn a_full_buffer_may_come_with_everything_sent() {
    fn everything<S: Subject>() {
        let rig = stopped::<S>(10, Stop::Full);
        assert_eq!(rig.attempt(&ALL), Tally { file: 10, errno: EAGAIN, ..Tally::default() });
        assert_eq!(rig.received(), b"0123456789");
    }
    everything::<MacOs>();
    everything::<FreeBsd14>();
}

#[test]
fn a_disk_that_fails_after_some_bytes_is_told_with_them() {
    let rig = stopped::<DragonFly6>(4, Stop::Disk);
    assert_eq!(rig.attempt(&ALL), Tally { file: 4, errno: EIO, ..Tally::default() });
}
