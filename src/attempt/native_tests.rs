//! Attempts on the kernel that these tests run on: real sockets, pipes and files.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use libc::{EAGAIN, EBADF, ECONNRESET, EPIPE};

use super::*;
use crate::sys::testing::on_linux;
use crate::sys::testing::{let_sigpipe_kill, shrink_buffers, wait_writable, Storm};
use crate::sys::Native;
use crate::testing::{
    after, alone, assert_same, narrow_pair, narrow_tcp_pair, pattern, slow_reader, tcp_pair, Temp, PATIENCE,
};

/// Headers, file and trailers, and how far they have come.
struct Load {
    headers: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    trailers: Vec<Vec<u8>>,
}

impl Load {
    /// 200,000 bytes of each; the headers and the trailers in three buffers.
    fn large() -> Self {
        let part =
            |seed| [80_000, 30_000, 90_000].into_iter().map(|n: usize| pattern(n, seed + n as u64)).collect();
        Self { headers: part(1), bytes: pattern(200_000, 2), trailers: part(3) }
    }

    fn all(&self) -> Vec<u8> {
        [self.headers.concat(), self.bytes.clone(), self.trailers.concat()].concat()
    }

    /// Sends it with nothing to go by but the counts.
    fn send(&self, out: &impl AsFd) {
        let temp = Temp::of(&self.bytes);
        let input = temp.open();
        let size = |buffers: &[Vec<u8>]| buffers.iter().map(Vec::len).sum::<usize>();
        let (head, file) = (size(&self.headers), self.bytes.len());
        let total = head + file + size(&self.trailers);
        let mut done = 0;
        while done < total {
            let in_file = done.saturating_sub(head).min(file);
            let request = Request {
                out: out.as_fd(),
                input: input.as_fd(),
                offset: Some(in_file as u64),
                nbytes: Some((file - in_file) as u64),
                headers: &after(&self.headers, done),
                trailers: &after(&self.trailers, done.saturating_sub(head + file)),
                flags: 0,
                sized: false,
            };
            match attempt(&Native, &request).result() {
                Ok(0) => panic!("nothing more after {done} of {total}"),
                Ok(sent) => done += usize::try_from(sent).unwrap(),
                Err(EAGAIN) => wait_writable(out),
                Err(errno) => panic!("{}", io::Error::from_raw_os_error(errno)),
            }
        }
        assert_eq!(done, total);
    }
}

fn request<'a>(out: &'a impl AsFd, input: &'a File, nbytes: u64) -> Request<'a> {
    let (out, input) = (out.as_fd(), input.as_fd());
    let (offset, nbytes) = (Some(0), Some(nbytes));
    Request { out, input, offset, nbytes, headers: &[], trailers: &[], flags: 0, sized: false }
}

#[test]
fn large_headers_and_trailers_reach_a_slow_reader_over_a_unix_socket() {
    let load = Load::large();
    let (out, peer) = narrow_pair();
    let reader = slow_reader(peer);
    load.send(&out);
    drop(out);
    assert_same(&reader.join().unwrap(), &load.all());
}

#[test]
fn large_headers_and_trailers_reach_a_slow_reader_over_tcp() {
    let load = Load::large();
    let (out, peer) = narrow_tcp_pair();
    let reader = slow_reader(peer);
    load.send(&out);
    drop(out);
    assert_same(&reader.join().unwrap(), &load.all());
}

#[test]
fn large_headers_and_trailers_go_over_a_blocking_socket() {
    let load = Load::large();
    let (out, peer) = narrow_pair();
    out.set_nonblocking(false).unwrap();
    let reader = slow_reader(peer);
    load.send(&out);
    drop(out);
    assert_same(&reader.join().unwrap(), &load.all());
}

#[test]
fn more_buffers_than_one_call_takes_arrive_in_order() {
    let many = |seed| pattern(7_500, seed).chunks(3).map(<[u8]>::to_vec).collect();
    let load = Load { headers: many(5), bytes: pattern(100, 6), trailers: many(7) };
    let (out, peer) = narrow_pair();
    let reader = slow_reader(peer);
    load.send(&out);
    drop(out);
    assert_same(&reader.join().unwrap(), &load.all());
}

#[test]
fn headers_and_trailers_go_to_a_pipe() {
    let load = Load::large();
    let (peer, out) = io::pipe().unwrap();
    let reader = slow_reader(peer);
    load.send(&out);
    drop(out);
    assert_same(&reader.join().unwrap(), &load.all());
}

#[test]
fn headers_and_trailers_go_to_a_file() {
    let load = Load::large();
    let temp = Temp::name();
    load.send(&File::create(temp.path()).unwrap());
    assert_same(&std::fs::read(temp.path()).unwrap(), &load.all());
}

#[test]
fn signals_that_restart_nothing_lose_and_repeat_no_byte() {
    let load = Load::large();
    let wanted = load.all();
    let (out, mut peer) = UnixStream::pair().unwrap();
    shrink_buffers(&out);
    shrink_buffers(&peer);
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let sender_over = Arc::clone(&over);
    // The socket blocks, so the sender sleeps in its call when the signals come.
    let sender = thread::spawn(move || {
        let storm = Storm::here();
        load.send(&out);
        sender_over.store(true, Ordering::SeqCst);
        drop(storm);
    });
    let mut got = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let signals = Storm::arrived();
        while Storm::arrived() < signals + 2 && !over.load(Ordering::SeqCst) && !sender.is_finished() {
            thread::yield_now();
        }
        match peer.read(&mut buffer).unwrap() {
            0 => break,
            n => got.extend_from_slice(&buffer[..n]),
        }
    }
    sender.join().unwrap();
    assert_same(&got, &wanted);
}

#[test]
fn a_dead_peer_is_an_error_where_sigpipe_would_kill() {
    alone("attempt::native_tests::a_dead_peer_is_an_error_where_sigpipe_would_kill", || {
        let_sigpipe_kill();
        let temp = Temp::of(&pattern(1000, 1));
        let input = temp.open();
        let (out, peer) = UnixStream::pair().unwrap();
        drop(peer);
        let socket = request(&out, &input, 1000);
        assert_eq!(attempt(&Native, &socket).result(), Err(EPIPE));
        let headers = Request { headers: &[b"head"], ..socket };
        assert_eq!(attempt(&Native, &headers).result(), Err(EPIPE));
        let (peer, out) = io::pipe().unwrap();
        drop(peer);
        let pipe = request(&out, &input, 1000);
        assert_eq!(attempt(&Native, &pipe).result(), Err(EPIPE));
        let headers = Request { headers: &[b"head"], ..pipe };
        assert_eq!(attempt(&Native, &headers).result(), Err(EPIPE));
    });
}

#[test]
fn a_reset_after_some_bytes_is_first_a_count_and_then_an_error() {
    let temp = Temp::of(&pattern(1 << 20, 1));
    let input = temp.open();
    let (out, peer) = tcp_pair();
    let sent = attempt(&Native, &request(&out, &input, 1 << 20)).result().unwrap();
    assert!(sent > 0);
    // Closing with bytes unread is a reset.
    drop(peer);
    let end = Instant::now() + PATIENCE;
    let errno = loop {
        match attempt(&Native, &request(&out, &input, 1 << 20)).result() {
            Ok(_) => {}
            Err(EAGAIN) => wait_writable(&out),
            Err(errno) => break errno,
        }
        assert!(Instant::now() < end);
    };
    assert!([EPIPE, ECONNRESET].contains(&errno), "{errno}");
}

#[test]
fn the_position_moves_by_the_file_bytes_also_where_the_socket_is_full() {
    let temp = Temp::of(&pattern(1 << 20, 1));
    let mut input = temp.open();
    input.seek(io::SeekFrom::Start(1000)).unwrap();
    let (out, _peer) = narrow_pair();
    let framed = Request { offset: None, headers: &[b"head"], ..request(&out, &input, 1 << 20) };
    let first = attempt(&Native, &framed);
    assert_eq!(first.headers, 4);
    assert!(first.file > 0 && first.file < 1 << 20);
    assert_eq!(input.stream_position().unwrap(), 1000 + first.file);
    let plain = Request { offset: None, ..request(&out, &input, 1 << 20) };
    assert_eq!(attempt(&Native, &plain).result(), Err(EAGAIN));
    assert_eq!(input.stream_position().unwrap(), 1000 + first.file);
}

#[test]
fn an_explicit_offset_leaves_the_position_alone() {
    let temp = Temp::of(b"0123456789");
    let mut input = temp.open();
    input.seek(io::SeekFrom::Start(7)).unwrap();
    let (out, mut peer) = narrow_pair();
    let framed = Request { offset: Some(2), trailers: &[b"!"], ..request(&out, &input, 3) };
    assert_eq!(attempt(&Native, &framed).result(), Ok(4));
    assert_eq!(input.stream_position().unwrap(), 7);
    drop(out);
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "234!");
}

#[test]
fn length_zero_tells_a_wrong_descriptor() {
    let temp = Temp::of(b"0123456789");
    let input = temp.open();
    let (out, _peer) = narrow_pair();
    let read_only = temp.open();
    let write_only = File::options().write(true).open(temp.path()).unwrap();
    assert_eq!(attempt(&Native, &request(&out, &input, 0)).result(), Ok(0));
    assert_eq!(attempt(&Native, &request(&read_only, &input, 0)).result(), Err(EBADF));
    assert_eq!(attempt(&Native, &request(&out, &write_only, 0)).result(), Err(EBADF));
    let past = Request { offset: Some(10), headers: &[b"head"], ..request(&out, &write_only, 5) };
    assert_eq!(attempt(&Native, &past).result(), Err(EBADF));
}

#[test]
fn past_the_end_is_zero() {
    let temp = Temp::of(b"0123456789");
    let input = temp.open();
    let (out, _peer) = narrow_pair();
    for offset in [10, 11, 1 << 40] {
        let past = Request { offset: Some(offset), ..request(&out, &input, 5) };
        assert_eq!(attempt(&Native, &past).result(), Ok(0));
    }
}

#[test]
fn trailers_follow_a_file_shorter_than_asked_for() {
    let temp = Temp::of(b"0123456789");
    let input = temp.open();
    let (out, mut peer) = narrow_pair();
    let framed = Request { headers: &[b"<"], trailers: &[b">"], ..request(&out, &input, 1 << 40) };
    assert_eq!(attempt(&Native, &framed).result(), Ok(12));
    drop(out);
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "<0123456789>");
}

on_linux! {
#[test]
fn a_file_of_unknown_size_goes_out_to_its_end_before_the_trailers() {
    let input = File::open("/proc/version").unwrap();
    let mut version = String::new();
    File::open("/proc/version").unwrap().read_to_string(&mut version).unwrap();
    let (out, mut peer) = narrow_pair();
    let all = Request { nbytes: None, trailers: &[b"."], ..request(&out, &input, 0) };
    let mut done = attempt(&Native, &all).result().unwrap();
    assert_eq!(done, version.len() as u64);
    let rest = Request { offset: Some(done), ..all };
    done += attempt(&Native, &rest).result().unwrap();
    assert_eq!(done, version.len() as u64 + 1);
    drop(out);
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, version + ".");
}
}

on_linux! {
#[test]
fn no_header_goes_out_for_a_source_that_cannot_be_sent() {
    let temp = Temp::of(b"0123456789");
    let write_only = File::options().write(true).open(temp.path()).unwrap();
    let directory = File::open("/").unwrap();
    let pipe = File::from(std::os::fd::OwnedFd::from(io::pipe().unwrap().0));
    for (input, errno) in [(write_only, EBADF), (directory, libc::EINVAL), (pipe, libc::ESPIPE)] {
        let (out, mut peer) = narrow_pair();
        let framed = Request { headers: &[b"head"], ..request(&out, &input, 10) };
        assert_eq!(attempt(&Native, &framed).result(), Err(errno));
        drop(out);
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"");
    }
}

/// Held back by a promise, headers arrive after 200 ms. A busy machine may be slow too, but not every time.
#[test]
fn headers_with_nothing_after_them_arrive_at_once() {
    let input = File::open("/proc/version").unwrap();
    let prompt = |offset, nbytes| {
        let (out, mut peer) = tcp_pair();
        let alone = Request { offset, nbytes, headers: &[b"head"], ..request(&out, &input, 0) };
        let start = Instant::now();
        assert_eq!(attempt(&Native, &alone).result(), Ok(4));
        let mut bytes = [0; 4];
        peer.read_exact(&mut bytes).unwrap();
        start.elapsed() < Duration::from_millis(100)
    };
    assert!((0..10).any(|_| prompt(Some(0), Some(0))), "without a file");
    assert!((0..10).any(|_| prompt(Some(1 << 20), None)), "with a file that has ended");
}
}

#[test]
fn two_attempts_on_one_file_do_not_disturb_each_other() {
    let bytes = pattern(300_000, 9);
    let temp = Temp::of(&bytes);
    let input = Arc::new(temp.open());
    let halves = [(0, 150_000), (150_000, 150_000)];
    let threads = halves.map(|(from, length)| {
        let input = Arc::clone(&input);
        let (out, peer) = narrow_pair();
        let reader = slow_reader(peer);
        let sender = thread::spawn(move || {
            let mut done = 0;
            while done < length {
                let part = Request { offset: Some(from + done), ..request(&out, &input, length - done) };
                match attempt(&Native, &part).result() {
                    Ok(sent) => done += sent,
                    Err(EAGAIN) => wait_writable(&out),
                    Err(errno) => panic!("{errno}"),
                }
            }
        });
        (sender, reader)
    });
    let mut got = Vec::new();
    for (sender, reader) in threads {
        sender.join().unwrap();
        got.extend(reader.join().unwrap());
    }
    assert_same(&got, &bytes);
    assert_eq!((&*input).stream_position().unwrap(), 0);
}
