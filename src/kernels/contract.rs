//! What holds on every kernel when nothing goes wrong, or goes wrong from the start.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;

use libc::{EAGAIN, EBADF, EINVAL, ENOTCONN, EPIPE, ESPIPE};

use super::*;
use crate::sys::testing::let_sigpipe_kill;
use crate::testing::{alone, assert_same, pattern};
use crate::transfer::is_refusal;

super::on_every_kernel! {
    a_range_of_the_file_arrives,
    headers_file_and_trailers_arrive_in_order,
    length_zero_is_no_byte_of_the_file,
    a_call_for_nothing_does_not_send_the_rest,
    no_length_is_the_rest_of_the_file,
    more_than_there_is_is_the_rest_of_the_file,
    at_and_after_the_end_is_zero,
    headers_and_trailers_go_out_around_nothing_of_the_file,
    an_offset_leaves_the_position_alone,
    without_an_offset_the_position_moves_by_the_file_bytes,
    a_place_beyond_32_bits_is_found,
    a_file_that_has_changed_goes_out_as_it_is_now,
    a_full_socket_is_eagain_and_no_end_of_the_file,
    flags_are_einval_where_there_are_none,
    a_number_beyond_a_signed_one_is_einval,
    a_source_without_offsets_is_refused_before_a_byte_is_out,
    a_directory_is_refused_before_a_byte_is_out,
    what_a_device_gives_is_counted_if_it_is_not_refused,
    a_file_that_cannot_be_read_is_ebadf,
    an_output_that_cannot_be_written_is_ebadf,
    a_socket_without_a_peer_is_an_error_without_a_count,
    a_peer_that_has_gone_is_epipe_and_kills_nobody,
}

fn a_range_of_the_file_arrives<S: Subject>() {
    let bytes = pattern(2000, 1);
    let rig = Rig::<S>::new(&bytes);
    let tally = rig.attempt(&Ask { offset: Some(500), nbytes: Some(700), ..ALL });
    assert_eq!(tally, Tally { file: 700, ..Tally::default() });
    assert_same(&rig.received(), &bytes[500..1200]);
}

fn headers_file_and_trailers_arrive_in_order<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    let tally = rig.attempt(&Ask { offset: Some(2), nbytes: Some(5), ..FRAMED });
    assert_eq!(tally, Tally { headers: 4, file: 5, trailers: 4, errno: 0 });
    assert_eq!(rig.received(), b"head23456tail");
}

fn length_zero_is_no_byte_of_the_file<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    assert_eq!(rig.attempt(&Ask { nbytes: Some(0), ..ALL }).result(), Ok(0));
    assert_eq!(rig.received(), b"");
    let tally = rig.attempt(&Ask { nbytes: Some(0), ..FRAMED });
    assert_eq!(tally, Tally { headers: 4, file: 0, trailers: 4, errno: 0 });
    assert_eq!(rig.received(), b"headtail");
}

fn a_call_for_nothing_does_not_send_the_rest<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    assert_eq!(rig.call(Some(0), 0), Outcome::sent(0));
    assert_eq!(rig.received(), b"");
}

fn no_length_is_the_rest_of_the_file<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    assert_eq!(rig.attempt(&Ask { offset: Some(4), ..FRAMED }).result(), Ok(14));
    assert_eq!(rig.received(), b"head456789tail");
}

fn more_than_there_is_is_the_rest_of_the_file<S: Subject>() {
    for nbytes in [11, 1 << 20, 1 << 40, u64::MAX] {
        for ask in [ALL, FRAMED] {
            let rig = Rig::<S>::new(b"0123456789");
            let framed = ask.headers.len() as u64 * 4;
            assert_eq!(rig.attempt(&Ask { nbytes: Some(nbytes), ..ask }).result(), Ok(10 + framed));
            assert!(rig.received().ends_with(if framed > 0 { b"6789tail" } else { b"23456789" }));
        }
    }
}

fn at_and_after_the_end_is_zero<S: Subject>() {
    for (contents, offset) in
        [(&b"0123456789"[..], 10), (b"0123456789", 11), (b"0123456789", 1 << 40), (b"", 0)]
    {
        for nbytes in [Some(1), Some(1 << 20), None] {
            let rig = Rig::<S>::new(contents);
            assert_eq!(rig.attempt(&Ask { offset: Some(offset), nbytes, ..ALL }).result(), Ok(0));
            // Who has looked at the size before may find another file.
            assert_eq!(rig.call(Some(offset), 1), Outcome::sent(0));
            assert_eq!(rig.received(), b"");
        }
    }
}

fn headers_and_trailers_go_out_around_nothing_of_the_file<S: Subject>() {
    for (contents, offset) in [(&b"0123456789"[..], 10), (b"0123456789", 1 << 40), (b"", 0)] {
        let rig = Rig::<S>::new(contents);
        let tally = rig.attempt(&Ask { offset: Some(offset), ..FRAMED });
        assert_eq!(tally.result(), Ok(8));
        assert_eq!(tally.file, 0);
        assert_eq!(rig.received(), b"headtail");
    }
}

fn an_offset_leaves_the_position_alone<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    rig.seek(7);
    for ask in [ALL, FRAMED] {
        rig.attempt(&Ask { offset: Some(2), nbytes: Some(3), ..ask }).result().unwrap();
    }
    assert_eq!(rig.position(), 7);
    assert_eq!(rig.received(), b"234head234tail");
}

fn without_an_offset_the_position_moves_by_the_file_bytes<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    rig.seek(2);
    for (ask, count, position) in
        [(ALL, 3, 5), (FRAMED, 11, 8), (FRAMED, 10, 10), (FRAMED, 8, 10), (ALL, 0, 10)]
    {
        let here = Ask { offset: None, nbytes: Some(3), ..ask };
        assert_eq!(rig.attempt(&here).result(), Ok(count));
        assert_eq!(rig.position(), position);
    }
    assert_eq!(rig.received(), b"234head567tailhead89tailheadtail");
}

fn a_place_beyond_32_bits_is_found<S: Subject>() {
    let rig = Rig::<S>::new(b"");
    let file = File::options().write(true).open(rig.file.path()).unwrap();
    file.write_all_at(b"far away", 5 << 32).unwrap();
    for ask in [ALL, FRAMED] {
        let tally = rig.attempt(&Ask { offset: Some((5 << 32) + 4), ..ask });
        assert_eq!((tally.file, tally.errno), (4, 0));
    }
    assert_eq!(rig.received(), b"awayheadawaytail");
}

fn a_file_that_has_changed_goes_out_as_it_is_now<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    assert_eq!(rig.attempt(&ALL).result(), Ok(10));
    // What is on its way may change too: zero copy is no snapshot.
    assert_eq!(rig.received(), b"0123456789");
    let file = File::options().write(true).open(rig.file.path()).unwrap();
    file.write_all_at(b"abc", 8).unwrap();
    assert_eq!(rig.attempt(&ALL).result(), Ok(11));
    assert_eq!(rig.received(), b"012345678901234567abc");
}

fn a_full_socket_is_eagain_and_no_end_of_the_file<S: Subject>() {
    let bytes = pattern(300_000, 3);
    for ask in [ALL, FRAMED] {
        let rig = Rig::<S>::new(&bytes).narrow();
        let mut done = 0;
        // A lower bound of what the peer keeps is filled in few calls, whichever kernel it is.
        for _ in 0..1000 {
            match rig.attempt(&Ask { offset: Some(done), ..ALL }).result() {
                Ok(sent) => done += sent,
                Err(errno) => {
                    assert_eq!(errno, EAGAIN);
                    break;
                }
            }
        }
        assert!(done > 0 && done < 300_000);
        for _ in 0..6 {
            assert_eq!(rig.attempt(&Ask { offset: Some(done), ..ask }).result(), Err(EAGAIN));
        }
        assert_same(&rig.received(), &bytes[..usize::try_from(done).unwrap()]);
    }
}

fn flags_are_einval_where_there_are_none<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    let result = rig.attempt(&Ask { flags: 1, ..FRAMED }).result();
    assert_eq!(result, if S::Kernel::FLAGS { Ok(18) } else { Err(EINVAL) });
    assert_eq!(rig.received().len(), if S::Kernel::FLAGS { 18 } else { 0 });
}

fn a_number_beyond_a_signed_one_is_einval<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    for offset in [1 << 63, u64::MAX] {
        assert_eq!(rig.call(Some(offset), 7), Outcome::failed(EINVAL));
    }
    if !S::Kernel::NULL_OFFSET {
        assert_eq!(rig.call(None, 7), Outcome::failed(EINVAL));
    }
    assert_eq!(rig.received(), b"");
}

fn a_source_without_offsets_is_refused_before_a_byte_is_out<S: Subject>() {
    let rig = Rig::<S>::new(b"");
    let (pipe, _writer) = io::pipe().unwrap();
    for offset in [Some(0), None] {
        let errno = rig.between(&rig.out, &pipe, &Ask { offset, ..ALL }).result().unwrap_err();
        assert!(is_refusal(errno), "{errno}");
        assert!(offset.is_none() || !S::Kernel::CLAMP || errno == ESPIPE);
    }
    // Before the headers, which must not go out for nothing.
    assert_eq!(rig.between(&rig.out, &pipe, &FRAMED).result(), Err(ESPIPE));
    assert_eq!(rig.received(), b"");
}

fn a_directory_is_refused_before_a_byte_is_out<S: Subject>() {
    let rig = Rig::<S>::new(b"");
    let directory = File::open("/").unwrap();
    let errno = rig.between(&rig.out, &directory, &ALL).result().unwrap_err();
    assert!(is_refusal(errno), "{errno}");
    assert_eq!(rig.between(&rig.out, &directory, &FRAMED).result(), Err(EINVAL));
    assert_eq!(rig.received(), b"");
}

fn what_a_device_gives_is_counted_if_it_is_not_refused<S: Subject>() {
    let rig = Rig::<S>::new(b"");
    let zeros = File::open("/dev/zero").unwrap();
    // Linux leaves the offset where it was.
    match rig.between(&rig.out, &zeros, &Ask { nbytes: Some(10), ..ALL }).result() {
        Ok(sent) => assert_eq!((sent, rig.received()), (10, vec![0; 10])),
        Err(errno) => assert!(is_refusal(errno) && rig.received().is_empty(), "{errno}"),
    }
}

fn a_file_that_cannot_be_read_is_ebadf<S: Subject>() {
    for contents in [&pattern(2000, 1), &pattern(200_000, 1)] {
        let rig = Rig::<S>::new(contents);
        let unreadable = File::options().write(true).open(rig.file.path()).unwrap();
        for ask in [ALL, FRAMED] {
            for nbytes in [None, Some(1000), Some(0)] {
                let result = rig.between(&rig.out, &unreadable, &Ask { nbytes, ..ask }).result();
                assert_eq!(result, Err(EBADF));
            }
        }
        assert_eq!(rig.received(), b"");
    }
}

fn an_output_that_cannot_be_written_is_ebadf<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    let read_only = rig.file.open();
    for ask in [ALL, FRAMED] {
        for nbytes in [None, Some(5), Some(0)] {
            assert_eq!(rig.between(&read_only, &rig.input, &Ask { nbytes, ..ask }).result(), Err(EBADF));
        }
    }
}

fn a_socket_without_a_peer_is_an_error_without_a_count<S: Subject>() {
    let rig = Rig::<S>::new(b"0123456789");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    for ask in [ALL, FRAMED] {
        let errno = rig.between(&socket, &rig.input, &ask).result().unwrap_err();
        assert!([ENOTCONN, EPIPE].contains(&errno), "{errno}");
    }
}

fn a_peer_that_has_gone_is_epipe_and_kills_nobody<S: Subject>() {
    let name = "a_peer_that_has_gone_is_epipe_and_kills_nobody";
    alone(&format!("kernels::contract::{}::{name}", S::MODULE), || {
        let_sigpipe_kill();
        for contents in [&pattern(2000, 1), &pattern(200_000, 1)] {
            let rig = Rig::<S>::new(contents);
            let (out, peer) = UnixStream::pair().unwrap();
            drop(peer);
            for ask in [ALL, FRAMED, ALL] {
                assert_eq!(rig.between(&out, &rig.input, &ask).result(), Err(EPIPE));
            }
        }
    });
}
