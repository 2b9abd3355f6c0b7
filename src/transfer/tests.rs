//! A transfer step by step, on kernels that answer by heart, and on the real one where that decides.

use std::fs::File;
use std::io::{self, Read};

use libc::{EAGAIN, EBADF, ECONNRESET, EINTR, EINVAL, EIO, ENOMEM, EPIPE};
use proptest::prelude::*;

use super::*;
use crate::scripted::Asked::{self, Flush};
use crate::scripted::{Plain, Scripted, Shape, Vectored, Wire};
use crate::sys::testing::on_linux;
use crate::sys::testing::{let_sigpipe_kill, wait_writable};
use crate::sys::Native;
use crate::testing::{alone, assert_same, narrow_pair, narrow_tcp_pair, pattern, slow_reader, Temp};

type Loose = Transfer<File, File>;

/// Descriptors of nothing, for kernels that do not look at them.
fn loose(offset: u64, length: u64, method: Method) -> Loose {
    let nothing = || File::open("/dev/null").unwrap();
    Transfer::new(nothing(), nothing(), offset, length, method)
}

/// Ten bytes from 100 on.
fn ten(method: Method) -> Loose {
    loose(100, 10, method)
}

/// The same between "head" and "tail".
fn framed(method: Method) -> Loose {
    ten(method).framed((*b"head").into(), (*b"tail").into())
}

fn plain(answers: impl IntoIterator<Item = Outcome>) -> Scripted<Plain> {
    Scripted::new(answers)
}

const LARGE: u64 = 1 << 40;

const fn sent(n: u64) -> Outcome {
    Outcome::sent(n)
}

const fn failed(errno: i32) -> Outcome {
    Outcome::failed(errno)
}

fn file(offset: u64, nbytes: u64) -> Asked {
    Asked::File(Some(offset), nbytes)
}

fn send(bytes: &[u8], more: bool) -> Asked {
    Asked::Send(bytes.to_vec(), 1, more)
}

/// Buffers joined, since it does not matter here how many they were.
fn parts(bytes: &[u8], count: usize, more: bool) -> Asked {
    Asked::Send(bytes.to_vec(), count, more)
}

mod step {
    use super::*;

    #[test]
    fn all_in_one_go() {
        let kernel = plain([sent(4), sent(10), sent(4)]);
        let mut transfer = framed(Method::Auto);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
        assert_eq!((transfer.sent(), transfer.calls(), transfer.refusal()), (18, 1, 0));
        assert!(!transfer.copies());
        assert_eq!(kernel.asked(), [send(b"head", true), file(100, 10), send(b"tail", false)]);
    }

    #[test]
    fn nothing_at_all_is_done_without_a_call() {
        for method in [Method::Auto, Method::Copy] {
            assert_eq!(loose(0, 0, method).step(&plain([]), LARGE), Step::Done);
        }
    }

    #[test]
    fn a_transfer_that_is_done_stays_done() {
        let mut transfer = ten(Method::Auto);
        let kernel = plain([sent(10)]);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
    }

    #[test]
    fn it_goes_on_after_a_short_count_until_the_socket_is_full() {
        let kernel = plain([sent(3), Outcome::partial(2, EAGAIN), failed(EAGAIN)]);
        let mut transfer = ten(Method::Auto);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Wait);
        assert_eq!((transfer.sent(), transfer.calls()), (5, 3));
        assert_eq!(kernel.asked(), [file(100, 10), file(103, 7), file(105, 5)]);
    }

    #[test]
    fn it_goes_on_at_every_border() {
        let borders: [(&[Outcome], Asked); 5] = [
            (&[sent(3)], send(b"d", true)),
            (&[sent(4), failed(EAGAIN)], file(100, 10)),
            (&[sent(4), sent(9)], file(109, 1)),
            (&[sent(4), sent(10), failed(EAGAIN)], send(b"tail", false)),
            (&[sent(4), sent(10), sent(3)], send(b"l", false)),
        ];
        for (answers, next) in borders {
            let kernel = plain(answers.iter().copied().chain([failed(EAGAIN)]));
            let mut transfer = framed(Method::Auto);
            assert_eq!(transfer.step(&kernel, LARGE), Step::Wait);
            assert_eq!(transfer.sent(), answers.iter().map(|answer| answer.sent).sum::<u64>());
            assert_eq!(kernel.asked().into_iter().rfind(|asked| *asked != Flush), Some(next));
        }
    }

    #[test]
    fn the_file_is_never_asked_for_its_size() {
        let kernel = plain([sent(4), sent(10), sent(4)]);
        framed(Method::Auto).step(&kernel, LARGE);
        assert!(!kernel.asked().contains(&Asked::Size));
    }

    #[test]
    fn an_errno_beside_bytes_is_met_again() {
        let kernel = plain([Outcome::partial(3, EPIPE), failed(EPIPE)]);
        let mut transfer = ten(Method::Auto);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Failed(EPIPE));
        assert_eq!(transfer.sent(), 3);
    }

    #[test]
    fn an_errno_beside_the_last_byte_is_no_failure() {
        for errno in [EAGAIN, EPIPE] {
            let kernel = plain([Outcome::partial(10, errno)]);
            assert_eq!(ten(Method::Auto).step(&kernel, LARGE), Step::Done);
        }
    }

    #[test]
    fn a_file_that_ends_early_is_truncated_and_the_tail_stays_here() {
        let kernel = plain([sent(4), sent(7), sent(0)]);
        let mut transfer = framed(Method::Auto);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Truncated);
        assert_eq!(transfer.sent(), 11);
        assert_eq!(kernel.asked(), [send(b"head", true), file(100, 10), file(107, 3)]);
    }

    #[test]
    fn head_and_tail_need_no_file() {
        let kernel = plain([sent(4), sent(4)]);
        let mut transfer = loose(0, 0, Method::Auto).framed((*b"head").into(), (*b"tail").into());
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
        assert_eq!(kernel.asked(), [send(b"head", true), send(b"tail", false)]);
    }

    #[test]
    fn a_kernel_that_takes_headers_too_gets_the_head_with_the_file() {
        let kernel = Scripted::<Vectored>::new([sent(14), sent(4)]);
        let mut transfer = framed(Method::Auto);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
        let call = Asked::Vector { headers: b"head".to_vec(), offset: Some(100), nbytes: 10, flags: 0 };
        assert_eq!(kernel.asked(), [call, send(b"tail", false)]);
    }

    #[test]
    fn other_owners_find_it_where_it_stood() {
        let answers = [sent(4), failed(EINVAL), failed(EINVAL), sent(10), sent(5), sent(5), failed(EAGAIN)];
        let kernel = plain(answers);
        let mut transfer = framed(Method::Auto).trusting(true);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Wait);
        let nothing = File::open("/dev/null").unwrap();
        let moved = transfer.rehoused(Lent(nothing.as_fd()), Lent(nothing.as_fd()));
        assert_eq!((moved.sent(), moved.refusal(), moved.copies()), (9, EINVAL, true));
        assert_eq!((moved.offset, moved.length, moved.calls, moved.trusted), (100, 10, 4, true));
        assert_eq!((&*moved.head, &*moved.tail), (&b"head"[..], &b"tail"[..]));
    }
}

mod budget {
    use super::*;

    #[test]
    fn it_is_the_most_file_bytes_of_a_step() {
        let kernel = plain([sent(4), sent(3), sent(3), sent(3), sent(1), sent(4)]);
        let mut transfer = framed(Method::Auto);
        for sent in [7, 10, 13] {
            assert_eq!(transfer.step(&kernel, 3), Step::Again);
            assert_eq!(transfer.sent(), sent);
        }
        assert_eq!(transfer.step(&kernel, 3), Step::Done);
        let wanted = [
            send(b"head", true),
            file(100, 3),
            file(103, 3),
            file(106, 3),
            file(109, 1),
            send(b"tail", false),
        ];
        assert_eq!(kernel.asked(), wanted);
    }

    #[test]
    fn it_is_spent_in_pieces() {
        let kernel = plain([sent(2), sent(1)]);
        assert_eq!(ten(Method::Auto).step(&kernel, 3), Step::Again);
        assert_eq!(kernel.asked(), [file(100, 3), file(102, 1)]);
    }

    #[test]
    fn what_a_step_took_is_remembered_without_head_and_tail() {
        let (head, full) = (sent(4), failed(EAGAIN));
        // Full twice in a row: the file is asked whether it is its fault.
        let kernel = plain([head, sent(2), full, full, sent(1)]);
        let mut transfer = framed(Method::Auto);
        assert_eq!(transfer.took(), None);
        assert_eq!(transfer.step(&kernel, 9), Step::Wait);
        assert_eq!(transfer.took(), Some(2));
        assert_eq!(transfer.step(&kernel, 9), Step::Wait);
        assert_eq!(transfer.took(), Some(0));
    }

    #[test]
    fn a_transfer_that_ends_with_it_is_done() {
        assert_eq!(ten(Method::Auto).step(&plain([sent(10)]), 10), Step::Done);
    }

    #[test]
    fn it_bounds_the_copy_too() {
        let kernel = plain([sent(3), sent(3)]);
        let mut transfer = ten(Method::Copy);
        assert_eq!(transfer.step(&kernel, 3), Step::Again);
        assert_eq!(kernel.asked(), [Asked::Read(3, 100), send(b"fff", true)]);
    }

    #[test]
    fn a_socket_that_takes_a_byte_at_a_time_gets_no_endless_step() {
        let kernel = plain([sent(1), sent(1), sent(1), sent(1)]);
        let mut transfer = framed(Method::Auto);
        assert_eq!(transfer.step(&kernel, 2), Step::Again);
        assert_eq!(transfer.sent(), 2);
    }
}

mod refusal {
    use super::*;

    const REFUSALS: [i32; 9] = [
        EINVAL,
        libc::ENOSYS,
        libc::ENOTSUP,
        libc::EPERM,
        libc::ENOTSOCK,
        libc::ESPIPE,
        libc::EXDEV,
        EIO,
        libc::EAFNOSUPPORT,
    ];

    #[test]
    fn before_the_first_byte_the_copy_takes_over() {
        for errno in REFUSALS {
            let kernel = plain([failed(errno), sent(10), sent(10)]);
            let mut transfer = ten(Method::Auto);
            assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
            assert_eq!((transfer.refusal(), transfer.copies(), transfer.sent()), (errno, true, 10));
            assert_eq!(kernel.asked(), [file(100, 10), Asked::Read(10, 100), send(b"ffffffffff", false)]);
        }
    }

    #[test]
    fn after_the_head_the_copy_takes_over() {
        let kernel = plain([sent(4), failed(EINVAL), failed(EINVAL), sent(10), sent(14)]);
        let mut transfer = framed(Method::Auto);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
        assert_eq!((transfer.refusal(), transfer.copies(), transfer.sent()), (EINVAL, true, 18));
        let wanted = [
            send(b"head", true),
            file(100, 10),
            Flush,
            file(100, 10),
            Asked::Read(10, 100),
            parts(b"fffffffffftail", 2, false),
        ];
        assert_eq!(kernel.asked(), wanted);
    }

    #[test]
    fn after_the_first_byte_of_the_file_it_is_an_error() {
        for errno in REFUSALS {
            let kernel = plain([sent(4), sent(1), failed(errno)]);
            let mut transfer = framed(Method::Auto);
            assert_eq!(transfer.step(&kernel, LARGE), Step::Failed(errno));
            assert_eq!((transfer.refusal(), transfer.copies(), transfer.sent()), (0, false, 5));
        }
    }

    #[test]
    fn where_sendfile_is_asked_for_it_is_an_error() {
        for errno in REFUSALS {
            let kernel = plain([failed(errno)]);
            let mut transfer = ten(Method::Sendfile);
            assert_eq!(transfer.step(&kernel, LARGE), Step::Failed(errno));
            assert!(!transfer.copies());
            assert_eq!(kernel.asked(), [file(100, 10)]);
        }
    }

    #[test]
    fn other_errnos_are_errors() {
        for errno in [EPIPE, ECONNRESET, EBADF, ENOMEM, libc::ENOBUFS, libc::EACCES] {
            let mut transfer = ten(Method::Auto);
            assert_eq!(transfer.step(&plain([failed(errno)]), LARGE), Step::Failed(errno));
            assert!(!transfer.copies());
        }
    }

    #[test]
    fn the_copy_that_took_over_may_fail() {
        let kernel = plain([failed(EIO), failed(EIO)]);
        let mut transfer = ten(Method::Auto);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Unreadable(EIO));
        assert_eq!(transfer.refusal(), EIO);
    }

    #[test]
    fn a_lost_connection_is_the_sockets_if_the_file_can_be_read() {
        for errno in
            [libc::ENOTCONN, libc::ECONNABORTED, libc::ETIMEDOUT, libc::EHOSTUNREACH, libc::ENETUNREACH]
        {
            let kernel = plain([sent(4), sent(3), failed(errno), sent(1)]);
            assert_eq!(framed(Method::Auto).step(&kernel, LARGE), Step::Failed(errno));
            assert_eq!(kernel.asked().last(), Some(&Asked::Read(1, 103)));
            let kernel = plain([sent(4), sent(3), failed(errno), failed(EIO)]);
            assert_eq!(framed(Method::Auto).step(&kernel, LARGE), Step::Unreadable(errno));
            // Before the file's turn nobody asks it.
            let kernel = plain([failed(errno)]);
            assert_eq!(framed(Method::Auto).step(&kernel, LARGE), Step::Failed(errno));
        }
    }

    #[test]
    fn a_file_that_has_nothing_yet_is_no_full_socket() {
        let kernel = plain([failed(EAGAIN), failed(EAGAIN), failed(EAGAIN)]);
        let mut transfer = ten(Method::Auto);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Wait);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Unreadable(EAGAIN));
        let kernel = plain([failed(EAGAIN), failed(EAGAIN), sent(1), sent(2), failed(EAGAIN)]);
        let mut transfer = ten(Method::Auto);
        for _ in 0..3 {
            assert_eq!(transfer.step(&kernel, LARGE), Step::Wait);
        }
        assert_eq!(kernel.left(), 0);
        let kernel = plain([failed(EAGAIN)]);
        assert_eq!(ten(Method::Copy).step(&kernel, LARGE), Step::Unreadable(EAGAIN));
    }

    #[test]
    fn a_real_one_is_answered_by_copying() {
        let bytes = pattern(300_000, 1);
        let (temp, out) = (Temp::of(&bytes), Temp::of(b"old"));
        // Linux refuses to send to a file that is open for appending.
        let appending = File::options().append(true).open(out.path()).unwrap();
        let mut transfer = Transfer::new(appending, temp.open(), 0, 300_000, Method::Auto)
            .framed((*b"head").into(), (*b"tail").into());
        assert_eq!(transfer.step(&Native, LARGE), Step::Done);
        assert_eq!((transfer.refusal(), transfer.copies()), (EINVAL, true));
        assert_same(&std::fs::read(out.path()).unwrap(), &[b"oldhead", &bytes[..], b"tail"].concat());
    }
}

mod copy {
    use super::*;

    #[test]
    fn head_file_and_tail_go_out_together() {
        let kernel = plain([sent(10), sent(18)]);
        let mut transfer = framed(Method::Copy);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
        assert_eq!(kernel.asked(), [Asked::Read(10, 100), parts(b"headfffffffffftail", 3, false)]);
    }

    #[test]
    fn what_did_not_go_out_is_read_again() {
        let kernel = plain([sent(10), sent(7), sent(7), failed(EAGAIN)]);
        let mut transfer = framed(Method::Copy);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Wait);
        assert_eq!(transfer.sent(), 7);
        assert_eq!(kernel.asked()[2..], [Asked::Read(7, 103), parts(b"ffffffftail", 2, false)]);
    }

    #[test]
    fn the_tail_waits_for_the_last_byte_read() {
        let kernel = plain([sent(6), sent(6), sent(4), sent(8)]);
        let mut transfer = ten(Method::Copy).framed(Box::default(), (*b"tail").into());
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
        let wanted =
            [Asked::Read(10, 100), send(b"ffffff", true), Asked::Read(4, 106), parts(b"fffftail", 2, false)];
        assert_eq!(kernel.asked(), wanted);
    }

    #[test]
    fn a_part_of_the_tail_is_gone_on_with() {
        let kernel = plain([sent(10), sent(17), sent(1)]);
        let mut transfer = framed(Method::Copy);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Done);
        assert_eq!(kernel.asked()[2..], [send(b"l", false)]);
    }

    #[test]
    fn it_reads_in_chunks() {
        let chunk = COPY_CHUNK as u64;
        let kernel = plain([sent(chunk), sent(chunk), sent(1), sent(1)]);
        assert_eq!(loose(0, chunk + 1, Method::Copy).step(&kernel, LARGE), Step::Done);
        let reads = kernel.asked().into_iter().filter(|asked| matches!(asked, Asked::Read(..)));
        assert!(reads.eq([Asked::Read(COPY_CHUNK, 0), Asked::Read(1, chunk)]));
    }

    #[test]
    fn interrupts_are_tried_again() {
        let kernel = plain([failed(EINTR), sent(10), failed(EINTR), sent(18)]);
        assert_eq!(framed(Method::Copy).step(&kernel, LARGE), Step::Done);
        assert_eq!(kernel.left(), 0);
    }

    #[test]
    fn a_file_that_ends_early_is_truncated() {
        let kernel = plain([sent(7), sent(11), sent(0)]);
        let mut transfer = framed(Method::Copy);
        assert_eq!(transfer.step(&kernel, LARGE), Step::Truncated);
        assert_eq!(transfer.sent(), 11);
        assert_eq!(kernel.asked()[1], parts(b"headfffffff", 2, true));
    }

    #[test]
    fn what_comes_before_a_file_that_has_nothing_is_sent() {
        let ends = [(sent(0), Step::Truncated), (failed(EIO), Step::Unreadable(EIO))];
        for (read, end) in ends {
            let kernel = plain([read, sent(4), read]);
            let mut transfer = framed(Method::Copy);
            assert_eq!(transfer.step(&kernel, LARGE), end);
            assert_eq!(transfer.sent(), 4);
            assert_eq!(kernel.asked()[1], parts(b"head", 1, true));
        }
    }

    #[test]
    fn reading_and_writing_may_fail() {
        let kernel = plain([failed(EIO)]);
        assert_eq!(ten(Method::Copy).step(&kernel, LARGE), Step::Unreadable(EIO));
        let kernel = plain([sent(10), failed(EPIPE)]);
        assert_eq!(ten(Method::Copy).step(&kernel, LARGE), Step::Failed(EPIPE));
    }

    #[test]
    fn the_kernels_sendfile_is_not_called() {
        let kernel = plain([sent(10), sent(10)]);
        ten(Method::Copy).step(&kernel, LARGE);
        assert!(!kernel.asked().iter().any(|asked| matches!(asked, Asked::File(..))));
    }
}

mod first_attempt {
    use super::*;

    const HOT: Residency = Residency::Hot;
    const LIKELY: Residency = Residency::Likely;
    const COLD: Residency = Residency::Cold;

    /// A transfer of the whole of a real file between "head" and "tail".
    fn of_file(bytes: &[u8], method: Method) -> Loose {
        let temp = Temp::of(bytes);
        Transfer::new(temp.open(), temp.open(), 0, bytes.len() as u64, method)
            .framed((*b"head").into(), (*b"tail").into())
    }

    /// Does the file system here read what is in memory and no more?
    fn reads_now(transfer: &Loose) -> bool {
        let mut all = vec![0; usize::try_from(transfer.length).unwrap()];
        cache::read_now(transfer.file.as_fd(), &mut all, 0) == Some(all.len())
    }

    #[test]
    fn a_large_range_is_left_to_others_though_it_is_in_memory() {
        let of_length =
            |length: u64, method| of_file(&vec![7; usize::try_from(length).unwrap()], method).trusting(true);
        let kernel = plain([]);
        assert_eq!(of_length(INLINE_MAX + 1, Method::Auto).try_now(&kernel), None);
        assert_eq!(of_length(INLINE_MAX + 1, Method::Sendfile).try_now(&kernel), None);
        assert_eq!(of_length(READ_NOW_MAX + 1, Method::Copy).try_now(&kernel), None);
        let mut transfer = of_length(READ_NOW_MAX + 1, Method::Auto);
        assert_eq!(transfer.try_knowing(&kernel, READ_NOW_MAX + 1, LIKELY), None);
    }

    #[test]
    fn what_is_in_memory_goes_at_once() {
        for method in [Method::Auto, Method::Sendfile] {
            for length in [10, INLINE_MAX] {
                let kernel = plain([sent(length)]);
                let mut transfer = loose(0, length, method);
                assert_eq!(transfer.try_knowing(&kernel, length, HOT), Some(Step::Done));
                assert_eq!(kernel.asked(), [file(0, length)]);
            }
        }
    }

    #[test]
    fn what_may_wait_for_a_disk_is_not_touched() {
        let kernel = plain([]);
        let mut transfer = framed(Method::Auto);
        assert_eq!(transfer.try_knowing(&kernel, 10, COLD), None);
        assert_eq!((transfer.sent(), transfer.calls()), (0, 0));
    }

    #[test]
    fn where_sendfile_is_asked_for_nothing_is_read() {
        let kernel = plain([]);
        let mut transfer = of_file(b"0123456789", Method::Sendfile);
        assert_eq!(transfer.try_knowing(&kernel, 10, LIKELY), None);
        assert_eq!(transfer.sent(), 0);
    }

    #[test]
    fn a_file_of_no_bytes_is_in_memory() {
        let kernel = plain([sent(4), sent(4)]);
        let mut transfer = loose(0, 0, Method::Auto).framed((*b"head").into(), (*b"tail").into());
        assert_eq!(transfer.try_now(&kernel), Some(Step::Done));
        let kernel = plain([sent(8)]);
        let mut transfer = loose(0, 0, Method::Copy).framed((*b"head").into(), (*b"tail").into());
        assert_eq!(transfer.try_now(&kernel), Some(Step::Done));
        assert_eq!(kernel.asked(), [parts(b"headtail", 2, false)]);
    }

    #[test]
    fn a_small_file_in_memory_is_written_with_its_head_and_tail_in_one_go() {
        let kernel = plain([sent(18)]);
        let mut transfer = of_file(b"0123456789", Method::Copy);
        let wanted = reads_now(&transfer).then_some(Step::Done);
        assert_eq!(transfer.try_now(&kernel), wanted);
        if wanted.is_some() {
            assert_eq!(kernel.asked(), [parts(b"head0123456789tail", 3, false)]);
            assert_eq!((transfer.sent(), transfer.calls()), (18, 1));
        }
        let kernel = plain([sent(18)]);
        let mut transfer = of_file(b"0123456789", Method::Auto);
        assert_eq!(transfer.try_knowing(&kernel, 10, LIKELY), wanted);
        // It was no sendfile, and is not told as one.
        assert_eq!(transfer.copies(), wanted.is_some());
    }

    #[test]
    fn a_full_socket_is_waited_for() {
        let first = of_file(b"0123456789", Method::Copy);
        if !reads_now(&first) {
            return;
        }
        for (outcome, step) in [
            (failed(EAGAIN), Step::Wait),
            (sent(3), Step::Wait),
            (Outcome::partial(17, EAGAIN), Step::Wait),
            (Outcome::partial(3, EPIPE), Step::Wait),
            (failed(EPIPE), Step::Failed(EPIPE)),
        ] {
            let kernel = plain([outcome]);
            let mut transfer = of_file(b"0123456789", Method::Copy);
            assert_eq!(transfer.try_now(&kernel), Some(step));
            assert_eq!(transfer.sent(), outcome.sent);
        }
    }

    #[test]
    fn a_range_that_the_file_does_not_hold_is_not_written() {
        let temp = Temp::of(b"0123456789");
        let kernel = plain([]);
        let mut transfer = Transfer::new(temp.open(), temp.open(), 5, 6, Method::Copy);
        assert_eq!(transfer.try_now(&kernel), None);
        let mut transfer = Transfer::new(temp.open(), temp.open(), 5, 6, Method::Auto);
        assert_eq!(transfer.try_knowing(&kernel, 6, LIKELY), None);
    }

    on_linux! {
    #[test]
    fn what_is_not_in_memory_waits_for_others() {
        let bytes = pattern(200_000, 1);
        let temp = Temp::of(&bytes);
        crate::sys::testing::drop_from_cache(&temp.open());
        let transfer = || Transfer::new(temp.open(), temp.open(), 0, 200_000, Method::Auto);
        // A file system in memory cannot forget.
        if transfer().residency(200_000) == COLD {
            assert_eq!(transfer().try_now(&plain([])), None);
        }
    }
    }
}

#[test]
fn residency_is_asked_for_what_is_left() {
    let mut transfer = loose(0, 10, Method::Auto);
    transfer.step(&plain([sent(10)]), LARGE);
    // Nothing is left, and nothing is always in memory, of whatever file.
    assert_eq!(transfer.residency(1 << 20), Residency::Hot);
}

#[test]
fn a_dead_peer_is_an_error_where_sigpipe_would_kill() {
    alone("transfer::tests::a_dead_peer_is_an_error_where_sigpipe_would_kill", || {
        let_sigpipe_kill();
        let temp = Temp::of(&pattern(1000, 1));
        for method in [Method::Auto, Method::Copy] {
            let (peer, out) = io::pipe().unwrap();
            drop(peer);
            let mut transfer = Transfer::new(out, temp.open(), 0, 1000, method);
            assert_eq!(transfer.step(&Native, LARGE), Step::Failed(EPIPE));
        }
        let (peer, out) = io::pipe().unwrap();
        drop(peer);
        let mut transfer = Transfer::new(out, temp.open(), 0, 1000, Method::Copy);
        assert!(matches!(transfer.try_now(&Native), None | Some(Step::Failed(EPIPE))));
    });
}

fn delivers(out: impl AsFd, peer: impl Read + Send + 'static, method: Method) {
    let bytes = pattern(500_000, 3);
    let temp = Temp::of(&bytes);
    let (head, tail) = (pattern(20_000, 4), pattern(20_000, 5));
    let reader = slow_reader(peer);
    let mut transfer = Transfer::new(out, temp.open(), 1000, 400_000, method)
        .framed(head.clone().into(), tail.clone().into());
    loop {
        match transfer.step(&Native, 50_000) {
            Step::Again => {}
            Step::Wait => wait_writable(&transfer.out().as_fd()),
            Step::Done => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(transfer.sent(), 440_000);
    drop(transfer);
    assert_same(&reader.join().unwrap(), &[&head, &bytes[1000..401_000], &tail].concat());
}

#[test]
fn a_slow_reader_gets_every_byte_by_sendfile() {
    let (out, peer) = narrow_pair();
    delivers(out, peer, Method::Sendfile);
    let (out, peer) = narrow_tcp_pair();
    delivers(out, peer, Method::Sendfile);
}

#[test]
fn a_slow_reader_gets_every_byte_by_copies() {
    let (out, peer) = narrow_pair();
    delivers(out, peer, Method::Copy);
    let (out, peer) = narrow_tcp_pair();
    delivers(out, peer, Method::Copy);
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

/// A whole transfer against the model: the wire holds head, range and tail, one after the other.
struct Case {
    file: Vec<u8>,
    from: usize,
    length: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    budget: u64,
}

impl Case {
    fn wanted(&self) -> Vec<u8> {
        [&self.head, &self.file[self.from..][..self.length], &self.tail].concat()
    }

    fn file_part(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.head.len() as u64).min(self.length as u64)
    }

    fn run<S: Shape>(&self, method: Method, fates: &[Outcome]) -> Loose {
        let kernel = Wire::<S>::new(self.file.clone(), fates.iter().copied());
        let mut transfer = loose(self.from as u64, self.length as u64, method)
            .framed(self.head.clone().into(), self.tail.clone().into());
        let wanted = self.wanted();
        for _ in 0..10_000 {
            let before = self.file_part(transfer.sent());
            let step = transfer.step(&kernel, self.budget);
            let got = kernel.got();
            assert_eq!(got.len() as u64, transfer.sent());
            assert_eq!(got, wanted[..got.len()]);
            assert!(self.file_part(transfer.sent()) - before <= self.budget);
            match step {
                Step::Again | Step::Wait => {}
                Step::Done => {
                    assert_eq!(got, wanted);
                    return transfer;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("no end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn whatever_the_kernel_takes_each_byte_goes_out_once(
        file in prop::collection::vec(any::<u8>(), 0..300),
        range in (0..300usize, 0..300usize),
        head in prop::collection::vec(any::<u8>(), 0..60),
        tail in prop::collection::vec(any::<u8>(), 0..60),
        budget in 1..100u64,
        fates in prop::collection::vec(fate(), 0..60),
        refusal in prop::sample::select(vec![EINVAL, libc::ENOSYS, libc::EPERM]),
    ) {
        let from = range.0.min(file.len());
        let length = range.1.min(file.len() - from);
        let case = Case { file, from, length, head, tail, budget };
        for method in [Method::Auto, Method::Sendfile, Method::Copy] {
            let transfer = case.run::<Plain>(method, &fates);
            prop_assert_eq!((transfer.refusal(), transfer.copies()), (0, method == Method::Copy));
            case.run::<Vectored>(method, &fates);
        }
        // Refused at the first call that is not the head's.
        let mut refused = vec![Outcome::failed(refusal)];
        if !case.head.is_empty() {
            refused.insert(0, Outcome::sent(u64::MAX));
            refused.push(Outcome::failed(refusal));
        }
        refused.extend(&fates);
        if case.length > 0 {
            let transfer = case.run::<Plain>(Method::Auto, &refused);
            prop_assert_eq!((transfer.refusal(), transfer.copies()), (refusal, true));
        }
    }
}
