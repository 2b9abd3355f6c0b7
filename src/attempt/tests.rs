//! One attempt, on kernels that answer by heart.

use std::fs::File;
use std::os::fd::AsFd;

use libc::{EAGAIN, EBADF, EINTR, EINVAL, EIO, EPIPE, ESPIPE};
use proptest::prelude::*;

use super::*;
use crate::scripted::Asked::{Flush, Modes, Position, Seek, Size};
use crate::scripted::{Asked, Plain, Positioned, Scripted, Shape, Vectored, Wire};

/// A request as the tests write it down.
#[derive(Clone, Copy)]
struct Ask<'a> {
    offset: Option<u64>,
    nbytes: Option<u64>,
    headers: &'a [&'a [u8]],
    trailers: &'a [&'a [u8]],
    flags: i32,
    sized: bool,
}

/// Ten bytes from 100 on, and nothing else.
const TEN: Ask<'_> =
    Ask { offset: Some(100), nbytes: Some(10), headers: &[], trailers: &[], flags: 0, sized: false };
/// The same between "head" and "tail".
const FRAMED: Ask<'_> = Ask { headers: &[b"head"], trailers: &[b"tail"], ..TEN };

impl Ask<'_> {
    fn of<K: Kernel>(&self, kernel: &K) -> Tally {
        let nothing = File::open("/dev/null").unwrap();
        let &Self { offset, nbytes, headers, trailers, flags, sized } = self;
        let (out, input) = (nothing.as_fd(), nothing.as_fd());
        attempt(kernel, &Request { out, input, offset, nbytes, headers, trailers, flags, sized })
    }
}

fn plain(answers: impl IntoIterator<Item = Outcome>) -> Scripted<Plain> {
    Scripted::new(answers)
}

fn tally(headers: u64, file: u64, trailers: u64, errno: i32) -> Tally {
    Tally { headers, file, trailers, errno }
}

fn file(offset: u64, nbytes: u64) -> Asked {
    Asked::File(Some(offset), nbytes)
}

fn send(bytes: &[u8], more: bool) -> Asked {
    Asked::Send(bytes.to_vec(), 1, more)
}

const fn sent(n: u64) -> Outcome {
    Outcome::sent(n)
}

const fn failed(errno: i32) -> Outcome {
    Outcome::failed(errno)
}

mod plain_file {
    use super::*;

    #[test]
    fn it_is_one_call_and_nothing_around_it() {
        let kernel = plain([sent(10)]);
        assert_eq!(TEN.of(&kernel), tally(0, 10, 0, 0));
        assert_eq!(kernel.asked(), [file(100, 10)]);
    }

    #[test]
    fn a_short_count_is_not_tried_again() {
        let kernel = plain([sent(3)]);
        assert_eq!(TEN.of(&kernel).result(), Ok(3));
        assert_eq!(kernel.asked().len(), 1);
    }

    #[test]
    fn zero_is_the_end_of_the_file() {
        assert_eq!(TEN.of(&plain([sent(0)])).result(), Ok(0));
    }

    #[test]
    fn a_count_stands_beside_every_errno() {
        for errno in [EAGAIN, EINTR, EPIPE, EIO, EINVAL, libc::ECONNRESET, libc::EBUSY] {
            let result = TEN.of(&plain([Outcome::partial(4, errno)]));
            assert_eq!(result, tally(0, 4, 0, errno));
            assert_eq!(result.result(), Ok(4));
        }
    }

    #[test]
    fn an_errno_without_a_count_is_an_error() {
        for errno in [EAGAIN, EPIPE, EIO, EINVAL, libc::ECONNRESET] {
            let kernel = plain([failed(errno)]);
            assert_eq!(TEN.of(&kernel).result(), Err(errno));
            assert_eq!(kernel.asked().len(), 1);
        }
    }

    #[test]
    fn an_interrupt_before_the_first_byte_is_tried_again() {
        let kernel = plain([failed(EINTR), failed(EINTR), sent(10)]);
        assert_eq!(TEN.of(&kernel), tally(0, 10, 0, 0));
        assert_eq!(kernel.asked(), [file(100, 10), file(100, 10), file(100, 10)]);
    }

    #[test]
    fn an_interrupt_after_some_bytes_returns_them() {
        let kernel = plain([failed(EINTR), Outcome::partial(3, EINTR)]);
        assert_eq!(TEN.of(&kernel).result(), Ok(3));
        assert_eq!(kernel.asked().len(), 2);
    }

    #[test]
    fn no_length_is_the_most_that_a_call_takes() {
        struct Small;
        impl Shape for Small {
            const MAX: u64 = 5000;
        }
        for nbytes in [None, Some(5001), Some(u64::MAX)] {
            let kernel = Scripted::<Small>::new([sent(10)]);
            Ask { nbytes, ..TEN }.of(&kernel);
            assert_eq!(kernel.asked(), [file(100, 5000)]);
        }
    }
}

mod nothing_wanted {
    use super::*;

    #[test]
    fn length_zero_makes_no_call() {
        let kernel = plain([]);
        assert_eq!(Ask { nbytes: Some(0), ..TEN }.of(&kernel).result(), Ok(0));
        assert_eq!(kernel.asked(), [Modes]);
    }

    #[test]
    fn length_zero_finds_a_wrong_descriptor_all_the_same() {
        for ask in [TEN, FRAMED] {
            let kernel = plain([]).with_modes(Err(EBADF));
            assert_eq!(Ask { nbytes: Some(0), ..ask }.of(&kernel).result(), Err(EBADF));
            assert_eq!(kernel.asked(), [Modes]);
        }
    }

    #[test]
    fn length_zero_sends_headers_and_trailers() {
        let kernel = plain([sent(4), sent(4)]);
        assert_eq!(Ask { nbytes: Some(0), ..FRAMED }.of(&kernel), tally(4, 0, 4, 0));
        assert_eq!(kernel.asked(), [Modes, send(b"head", true), send(b"tail", false)]);
    }

    #[test]
    fn a_vectored_kernel_is_not_asked_for_nothing_at_all() {
        let kernel = Scripted::<Vectored>::new([]);
        assert_eq!(Ask { nbytes: Some(0), ..TEN }.of(&kernel).result(), Ok(0));
        assert_eq!(kernel.asked(), [Modes]);
    }

    #[test]
    fn empty_buffers_are_no_buffers() {
        let kernel = plain([sent(10)]);
        Ask { headers: &[b"", b""], trailers: &[b""], ..TEN }.of(&kernel);
        assert_eq!(kernel.asked(), [file(100, 10)]);
    }

    #[test]
    fn empty_buffers_among_others_are_left_out() {
        let kernel = plain([sent(3), sent(10), sent(1)]);
        let ask = Ask { headers: &[b"", b"ab", b"", b"c"], trailers: &[b"", b"d"], ..TEN };
        assert_eq!(ask.of(&kernel), tally(3, 10, 1, 0));
        let head = Asked::Send(b"abc".to_vec(), 2, true);
        assert_eq!(kernel.asked(), [Modes, Size, head, file(100, 10), send(b"d", false)]);
    }
}

mod headers_and_trailers {
    use super::*;

    #[test]
    fn all_three_go_out_in_order() {
        let kernel = plain([sent(4), sent(10), sent(4)]);
        assert_eq!(FRAMED.of(&kernel), tally(4, 10, 4, 0));
        assert_eq!(kernel.asked(), [Modes, Size, send(b"head", true), file(100, 10), send(b"tail", false)]);
    }

    #[test]
    fn headers_that_fail_are_an_error_and_nothing_follows() {
        for errno in [EAGAIN, EPIPE] {
            let kernel = plain([failed(errno)]);
            assert_eq!(FRAMED.of(&kernel).result(), Err(errno));
            assert_eq!(kernel.asked(), [Modes, Size, send(b"head", true)]);
        }
    }

    #[test]
    fn the_file_is_not_begun_after_a_part_of_the_headers() {
        for errno in [0, EAGAIN, EINTR] {
            let kernel = plain([Outcome::partial(3, errno)]);
            assert_eq!(FRAMED.of(&kernel), tally(3, 0, 0, errno));
            assert_eq!(kernel.asked(), [Modes, Size, send(b"head", true)]);
        }
    }

    #[test]
    fn an_interrupt_before_each_part_is_tried_again() {
        let kernel = plain([failed(EINTR), sent(4), failed(EINTR), sent(10), failed(EINTR), sent(4)]);
        assert_eq!(FRAMED.of(&kernel), tally(4, 10, 4, 0));
        assert_eq!(kernel.left(), 0);
    }

    #[test]
    fn whole_headers_are_counted_whatever_the_file_says() {
        for errno in [EAGAIN, EPIPE, EINVAL, EIO] {
            let kernel = plain([sent(4), failed(errno)]);
            let result = FRAMED.of(&kernel);
            assert_eq!(result, tally(4, 0, 0, errno));
            assert_eq!(result.result(), Ok(4));
        }
    }

    #[test]
    fn trailers_do_not_follow_a_part_of_the_file() {
        for outcome in [sent(9), Outcome::partial(9, EAGAIN), failed(EAGAIN)] {
            let kernel = plain([outcome]);
            let result = Ask { headers: &[], ..FRAMED }.of(&kernel);
            assert_eq!(result, tally(0, outcome.sent, 0, outcome.errno));
            assert_eq!(kernel.asked(), [Modes, Size, file(100, 10)]);
        }
    }

    #[test]
    fn trailers_follow_the_end_of_a_file_whose_length_was_not_known() {
        let kernel = plain([sent(0), sent(4)]).sized(Ok(None));
        let ask = Ask { nbytes: None, headers: &[], ..FRAMED };
        assert_eq!(ask.of(&kernel), tally(0, 0, 4, 0));
        let kernel = plain([sent(900)]).sized(Ok(None));
        assert_eq!(ask.of(&kernel), tally(0, 900, 0, 0));
    }

    #[test]
    fn trailers_that_fail_leave_the_count() {
        let kernel = plain([sent(4), sent(10), failed(EAGAIN)]);
        let result = FRAMED.of(&kernel);
        assert_eq!(result, tally(4, 10, 0, EAGAIN));
        assert_eq!(result.result(), Ok(14));
    }

    #[test]
    fn a_part_of_the_trailers_is_counted() {
        let kernel = plain([sent(4), sent(10), Outcome::partial(2, EAGAIN)]);
        assert_eq!(FRAMED.of(&kernel), tally(4, 10, 2, EAGAIN));
    }

    #[test]
    fn trailers_do_not_follow_a_length_that_one_call_cannot_send() {
        struct Small;
        impl Shape for Small {
            const MAX: u64 = 6;
        }
        let kernel = Scripted::<Small>::new([sent(6)]);
        assert_eq!(Ask { headers: &[], ..FRAMED }.of(&kernel), tally(0, 6, 0, 0));
        assert_eq!(kernel.asked(), [Modes, Size, file(100, 6)]);
    }

    #[test]
    fn more_than_1024_buffers_go_in_batches() {
        let bytes = b"x".repeat(2500);
        let buffers: Vec<&[u8]> = bytes.chunks(1).collect();
        let kernel = plain([sent(1024), sent(1024), sent(452), sent(10), sent(1024), sent(1024), sent(452)]);
        let ask = Ask { headers: &buffers, trailers: &buffers, ..TEN };
        assert_eq!(ask.of(&kernel), tally(2500, 10, 2500, 0));
        let batch = |n: usize, more| Asked::Send(bytes[..n].to_vec(), n, more);
        assert_eq!(
            kernel.asked(),
            [
                Modes,
                Size,
                batch(1024, true),
                batch(1024, true),
                batch(452, true),
                file(100, 10),
                batch(1024, true),
                batch(1024, true),
                batch(452, false),
            ]
        );
    }

    #[test]
    fn a_batch_cut_short_ends_the_attempt() {
        let bytes = b"x".repeat(1500);
        let buffers: Vec<&[u8]> = bytes.chunks(1).collect();
        let kernel = plain([sent(1024), Outcome::partial(5, EAGAIN)]);
        assert_eq!(Ask { headers: &buffers, ..TEN }.of(&kernel), tally(1029, 0, 0, EAGAIN));
        assert_eq!(kernel.left(), 0);
    }
}

mod promise_of_more {
    use super::*;

    #[test]
    fn headers_alone_promise_nothing() {
        for ask in [Ask { nbytes: Some(0), ..FRAMED }, Ask { offset: Some(1_000_000), ..FRAMED }] {
            let kernel = plain([sent(4)]);
            Ask { trailers: &[], ..ask }.of(&kernel);
            assert_eq!(kernel.asked().last(), Some(&send(b"head", false)));
        }
    }

    #[test]
    fn trailers_alone_promise_nothing() {
        let kernel = plain([sent(4)]);
        Ask { headers: &[], nbytes: Some(0), ..FRAMED }.of(&kernel);
        assert_eq!(kernel.asked(), [Modes, send(b"tail", false)]);
    }

    #[test]
    fn a_kept_promise_is_not_flushed() {
        for answers in [[sent(4), sent(10), sent(4)], [sent(4), sent(10), failed(EAGAIN)]] {
            let kernel = plain(answers);
            FRAMED.of(&kernel);
            assert!(!kernel.asked().contains(&Flush));
        }
        let kernel = plain([sent(4), Outcome::partial(1, EAGAIN)]);
        FRAMED.of(&kernel);
        assert!(!kernel.asked().contains(&Flush));
    }

    #[test]
    fn a_promise_broken_by_the_file_is_flushed() {
        for outcome in [failed(EAGAIN), failed(EIO)] {
            let kernel = plain([sent(4), outcome]);
            FRAMED.of(&kernel);
            assert_eq!(kernel.asked(), [Modes, Size, send(b"head", true), file(100, 10), Flush]);
        }
        let kernel = plain([sent(4), sent(0)]);
        Ask { trailers: &[], ..FRAMED }.of(&kernel);
        assert_eq!(kernel.asked(), [Modes, Size, send(b"head", true), file(100, 10), Flush]);
    }

    #[test]
    fn a_promise_broken_by_the_trailers_is_flushed() {
        let kernel = plain([sent(4), failed(EAGAIN)]);
        Ask { nbytes: Some(0), ..FRAMED }.of(&kernel);
        assert_eq!(kernel.asked(), [Modes, send(b"head", true), send(b"tail", false), Flush]);
    }

    #[test]
    fn a_promise_broken_by_the_next_batch_is_flushed() {
        let bytes = b"x".repeat(1500);
        let buffers: Vec<&[u8]> = bytes.chunks(1).collect();
        let kernel = plain([sent(1024), failed(EAGAIN)]);
        assert_eq!(Ask { headers: &buffers, ..TEN }.of(&kernel), tally(1024, 0, 0, EAGAIN));
        assert_eq!(kernel.asked().last(), Some(&Flush));
        let kernel = plain([sent(10), sent(1024), failed(EAGAIN)]);
        assert_eq!(Ask { trailers: &buffers, ..TEN }.of(&kernel), tally(0, 10, 1024, EAGAIN));
        assert_eq!(kernel.asked().last(), Some(&Flush));
    }

    #[test]
    fn headers_without_a_promise_are_not_flushed() {
        let kernel = plain([sent(4)]);
        Ask { nbytes: Some(0), trailers: &[], ..FRAMED }.of(&kernel);
        assert_eq!(kernel.asked(), [Modes, send(b"head", false)]);
    }

    #[test]
    fn headers_that_did_not_go_out_are_not_flushed() {
        let kernel = plain([failed(EAGAIN)]);
        FRAMED.of(&kernel);
        assert!(!kernel.asked().contains(&Flush));
    }
}

mod length_of_the_file {
    use super::*;

    #[test]
    fn framed_bytes_are_cut_at_the_end_of_the_file() {
        let kernel = plain([sent(4), sent(3), sent(4)]).sized(Ok(Some(103)));
        assert_eq!(FRAMED.of(&kernel), tally(4, 3, 4, 0));
        assert_eq!(kernel.asked(), [Modes, Size, send(b"head", true), file(100, 3), send(b"tail", false)]);
    }

    #[test]
    fn past_the_end_there_are_no_file_bytes_and_a_wrong_descriptor_is_found() {
        let kernel = plain([sent(4), sent(4)]).sized(Ok(Some(99)));
        assert_eq!(FRAMED.of(&kernel), tally(4, 0, 4, 0));
        assert_eq!(kernel.asked(), [Modes, Size, send(b"head", true), send(b"tail", false)]);
        let kernel = plain([]).sized(Ok(Some(99))).with_modes(Err(EBADF));
        assert_eq!(FRAMED.of(&kernel).result(), Err(EBADF));
    }

    #[test]
    fn an_unknown_size_cuts_nothing() {
        let kernel = plain([sent(4), sent(10), sent(4)]).sized(Ok(None));
        assert_eq!(FRAMED.of(&kernel), tally(4, 10, 4, 0));
    }

    #[test]
    fn a_size_that_cannot_be_had_is_an_error_before_anything_is_sent() {
        let kernel = plain([]).sized(Err(EBADF));
        assert_eq!(FRAMED.of(&kernel).result(), Err(EBADF));
    }

    #[test]
    fn a_kernel_that_takes_no_more_than_there_is_gets_no_more() {
        struct Exact;
        impl Shape for Exact {
            const CLAMP: bool = true;
        }
        let kernel = Scripted::<Exact>::new([sent(3)]).sized(Ok(Some(103)));
        assert_eq!(TEN.of(&kernel), tally(0, 3, 0, 0));
        assert_eq!(kernel.asked(), [Size, file(100, 3)]);
        for size in [0, 99, 100] {
            let kernel = Scripted::<Exact>::new([]).sized(Ok(Some(size)));
            assert_eq!(TEN.of(&kernel).result(), Ok(0));
            assert_eq!(kernel.asked(), [Size, Modes]);
        }
        let kernel = Scripted::<Exact>::new([sent(3)]).sized(Ok(Some(103)));
        Ask { sized: true, ..TEN }.of(&kernel);
        assert_eq!(kernel.asked(), [Size, file(100, 3)]);
    }

    #[test]
    fn who_vouches_for_the_length_saves_the_question() {
        let kernel = plain([sent(4), sent(10), sent(4)]);
        assert_eq!(Ask { sized: true, ..FRAMED }.of(&kernel), tally(4, 10, 4, 0));
        assert_eq!(kernel.asked(), [send(b"head", true), file(100, 10), send(b"tail", false)]);
        let kernel = plain([sent(4), sent(4)]);
        Ask { sized: true, nbytes: Some(0), ..FRAMED }.of(&kernel);
        assert_eq!(kernel.asked(), [send(b"head", true), send(b"tail", false)]);
    }

    #[test]
    fn who_vouches_for_the_length_gets_no_trailers_in_the_place_of_missing_bytes() {
        for short in [0, 9] {
            let kernel = plain([sent(short)]);
            let ask = Ask { sized: true, headers: &[], ..FRAMED };
            assert_eq!(ask.of(&kernel), tally(0, short, 0, 0));
        }
    }
}

mod position_of_the_file {
    use super::*;

    const HERE: Ask<'_> = Ask { offset: None, ..FRAMED };

    #[test]
    fn it_moves_on_by_the_file_bytes_alone() {
        let kernel = plain([sent(4), sent(10), sent(4)]).at(Ok(70));
        assert_eq!(HERE.of(&kernel), tally(4, 10, 4, 0));
        let asked =
            [Position, Modes, Size, send(b"head", true), file(70, 10), send(b"tail", false), Seek(80)];
        assert_eq!(kernel.asked(), asked);
    }

    #[test]
    fn it_moves_on_by_what_went_out_before_an_errno() {
        let kernel = plain([sent(4), Outcome::partial(3, EAGAIN)]).at(Ok(70));
        HERE.of(&kernel);
        assert_eq!(kernel.asked().last(), Some(&Seek(73)));
    }

    #[test]
    fn it_stays_without_file_bytes() {
        for answers in [vec![sent(3)], vec![sent(4), failed(EAGAIN)]] {
            let kernel = plain(answers).at(Ok(70));
            HERE.of(&kernel);
            assert!(!kernel.asked().iter().any(|asked| matches!(asked, Seek(_))));
        }
    }

    #[test]
    fn it_stays_for_an_explicit_offset() {
        let kernel = plain([sent(4), sent(10), sent(4)]).at(Ok(70));
        FRAMED.of(&kernel);
        assert!(!kernel.asked().iter().any(|asked| matches!(asked, Position | Seek(_))));
    }

    #[test]
    fn a_kernel_that_keeps_it_is_left_to() {
        let kernel = Scripted::<Positioned>::new([sent(10)]);
        Ask { offset: None, ..TEN }.of(&kernel);
        assert_eq!(kernel.asked(), [Asked::File(None, 10)]);
    }

    #[test]
    fn a_kernel_that_keeps_it_is_asked_for_it_only_to_cut_the_length() {
        let kernel = Scripted::<Positioned>::new([sent(4), sent(2), sent(4)]).at(Ok(8)).sized(Ok(Some(10)));
        assert_eq!(HERE.of(&kernel), tally(4, 2, 4, 0));
        let asked = [Modes, Size, Position, send(b"head", true), Asked::File(None, 2), send(b"tail", false)];
        assert_eq!(kernel.asked(), asked);
    }

    #[test]
    fn a_pipe_has_none() {
        let kernel = plain([]).at(Err(ESPIPE));
        assert_eq!(HERE.of(&kernel).result(), Err(ESPIPE));
    }

    #[test]
    fn it_moves_by_the_file_bytes_of_one_call_for_headers_too() {
        for (total, to) in [(3, None), (4, None), (5, Some(71)), (14, Some(80))] {
            let kernel = Scripted::<Vectored>::new([sent(total), failed(EAGAIN)]).at(Ok(70));
            HERE.of(&kernel);
            let moved = kernel.asked().into_iter().find_map(|asked| match asked {
                Seek(to) => Some(to),
                _ => None,
            });
            assert_eq!(moved, to);
        }
    }
}

mod flags {
    use super::*;

    #[test]
    fn without_a_use_for_them_they_are_einval() {
        let kernel = plain([]);
        assert_eq!(Ask { flags: 1, ..FRAMED }.of(&kernel).result(), Err(EINVAL));
        assert_eq!(kernel.asked(), []);
    }

    #[test]
    fn they_are_passed_on() {
        struct Flagged;
        impl Shape for Flagged {
            const FLAGS: bool = true;
        }
        let kernel = Scripted::<Flagged>::new([sent(10)]);
        Ask { flags: 5, ..TEN }.of(&kernel);
        let wanted = Asked::Vector { headers: vec![], offset: Some(100), nbytes: 10, flags: 5 };
        assert_eq!(kernel.asked(), [wanted]);
    }
}

mod headers_in_the_same_call {
    use super::*;

    fn vectored(answers: impl IntoIterator<Item = Outcome>) -> Scripted<Vectored> {
        Scripted::new(answers)
    }

    fn call(nbytes: u64) -> Asked {
        Asked::Vector { headers: b"head".to_vec(), offset: Some(100), nbytes, flags: 0 }
    }

    #[test]
    fn they_go_with_the_file_and_the_trailers_after_it() {
        let kernel = vectored([sent(14), sent(4)]);
        assert_eq!(FRAMED.of(&kernel), tally(4, 10, 4, 0));
        assert_eq!(kernel.asked(), [Modes, Size, call(10), send(b"tail", false)]);
    }

    #[test]
    fn without_a_file_they_go_alone() {
        let kernel = vectored([sent(4), sent(4)]);
        assert_eq!(Ask { nbytes: Some(0), ..FRAMED }.of(&kernel), tally(4, 0, 4, 0));
        assert_eq!(kernel.asked(), [Modes, send(b"head", true), send(b"tail", false)]);
    }

    #[test]
    fn the_count_is_split_where_they_end() {
        for (total, (headers, file)) in [(0, (0, 0)), (1, (1, 0)), (4, (4, 0)), (5, (4, 1)), (13, (4, 9))] {
            for errno in [EAGAIN, EIO] {
                let result = FRAMED.of(&vectored([Outcome::partial(total, errno)]));
                assert_eq!(result, tally(headers, file, 0, errno));
            }
        }
    }

    #[test]
    fn trailers_do_not_stand_in_the_place_of_missing_bytes() {
        for (total, (headers, file)) in [(0, (0, 0)), (4, (4, 0)), (13, (4, 9))] {
            let kernel = vectored([sent(total)]);
            assert_eq!(FRAMED.of(&kernel), tally(headers, file, 0, 0));
            assert_eq!(kernel.asked(), [Modes, Size, call(10)]);
        }
    }

    #[test]
    fn trailers_stay_behind_a_length_that_one_call_cannot_send() {
        struct Small;
        impl Shape for Small {
            const MAX: u64 = 6;
            const VECTORED: bool = true;
        }
        let kernel = Scripted::<Small>::new([sent(10)]);
        assert_eq!(FRAMED.of(&kernel), tally(4, 6, 0, 0));
        assert_eq!(kernel.asked(), [Modes, Size, call(6)]);
    }

    #[test]
    fn they_promise_nothing() {
        let kernel = vectored([sent(4)]);
        FRAMED.of(&kernel);
        assert_eq!(kernel.asked(), [Modes, Size, call(10)]);
    }

    #[test]
    fn an_interrupt_before_the_first_byte_is_tried_again() {
        let kernel = vectored([failed(EINTR), sent(14), sent(4)]);
        assert_eq!(FRAMED.of(&kernel), tally(4, 10, 4, 0));
    }
}

mod wrong_descriptors {
    use super::*;

    #[test]
    fn another_word_for_one_open_the_wrong_way_is_ebadf() {
        for errno in [libc::ENOTSOCK, libc::EACCES] {
            let kernel = plain([failed(errno)]).with_modes(Err(EBADF));
            assert_eq!(TEN.of(&kernel).result(), Err(EBADF));
            assert_eq!(kernel.asked(), [file(100, 10), Modes]);
        }
    }

    #[test]
    fn of_one_open_the_right_way_the_word_stands() {
        for errno in [libc::ENOTSOCK, libc::EACCES] {
            assert_eq!(TEN.of(&plain([failed(errno)])).result(), Err(errno));
            assert_eq!(TEN.of(&plain([Outcome::partial(3, errno)])).result(), Ok(3));
        }
    }

    #[test]
    fn who_vouches_for_the_length_vouches_for_them_too() {
        let kernel = plain([failed(libc::ENOTSOCK)]);
        assert_eq!(Ask { sized: true, ..TEN }.of(&kernel).result(), Err(libc::ENOTSOCK));
        assert_eq!(kernel.asked(), [file(100, 10)]);
    }
}

/// What a call may do: take some bytes, with or without an errno beside them, or none.
fn fate() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => (1..60u64).prop_map(Outcome::sent),
        2 => (1..60u64).prop_map(|n| Outcome::partial(n, EAGAIN)),
        1 => (1..60u64).prop_map(|n| Outcome::partial(n, EINTR)),
        2 => Just(Outcome::failed(EAGAIN)),
        1 => Just(Outcome::failed(EINTR)),
    ]
}

/// Attempts until all is out, by the counts alone; `offset` none leaves the file's position to the attempts.
fn resume<S: Shape>(kernel: &Wire<S>, offset: Option<u64>, length: u64, parts: [&[&[u8]]; 2]) -> u64 {
    let [headers, trailers] = parts.map(|part| part.concat());
    let file_from = headers.len() as u64;
    let tail_from = file_from + length;
    let total = tail_from + trailers.len() as u64;
    let rest = |bytes: &[u8], done: u64| bytes[usize::try_from(done).unwrap().min(bytes.len())..].to_vec();
    let mut done = 0;
    for _ in 0..10_000 {
        if done == total {
            break;
        }
        let in_file = done.saturating_sub(file_from).min(length);
        let head = rest(&headers, done);
        let tail = rest(&trailers, done.saturating_sub(tail_from));
        let (first, second) = head.split_at(head.len() / 2);
        let result = Ask {
            offset: offset.map(|offset| offset + in_file),
            nbytes: Some(length - in_file),
            headers: &[first, second],
            trailers: &[&tail],
            ..TEN
        }
        .of(kernel);
        match result.result() {
            Ok(0) => break,
            Ok(sent) => done += sent,
            Err(errno) => assert_eq!(errno, EAGAIN),
        }
    }
    done
}

fn resumes<S: Shape>(file: &[u8], offset: usize, parts: [&[&[u8]]; 2], fates: &[Outcome], null: bool) {
    let kernel = Wire::<S>::new(file.to_vec(), fates.iter().copied());
    let length = (file.len() - offset) as u64;
    let start = offset as u64;
    if null {
        let nothing = File::open("/dev/null").unwrap();
        kernel.seek(nothing.as_fd(), start).unwrap();
    }
    let wanted = [&parts[0].concat(), &file[offset..], &parts[1].concat()].concat();
    let done = resume(&kernel, (!null).then_some(start), length, parts);
    assert_eq!(done, wanted.len() as u64);
    assert_eq!(kernel.got(), wanted);
    assert_eq!(kernel.position(), if null { start + length } else { 0 });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn attempts_by_their_counts_alone_lose_and_repeat_no_byte(
        file in prop::collection::vec(any::<u8>(), 0..200),
        skipped in 0..200usize,
        headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..4),
        trailers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..4),
        fates in prop::collection::vec(fate(), 0..40),
        null in any::<bool>(),
    ) {
        let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
        let trailers: Vec<&[u8]> = trailers.iter().map(Vec::as_slice).collect();
        let offset = skipped.min(file.len());
        resumes::<Plain>(&file, offset, [&headers, &trailers], &fates, null);
        resumes::<Positioned>(&file, offset, [&headers, &trailers], &fates, null);
        resumes::<Vectored>(&file, offset, [&headers, &trailers], &fates, null);
    }
}
