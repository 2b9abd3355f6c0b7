//! The emulated Linux beside the real one: what it answers has to be what the kernel answers, or the method is worth
//! nothing for the kernels that cannot be asked here.

use crate::sys::testing::on_linux;

on_linux! {
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use super::*;
use crate::testing::tcp_pair;

/// Outputs, each new, with what has to live as long as they do.
fn outputs() -> Vec<(&'static str, OwnedFd, Option<OwnedFd>)> {
    let temp = Temp::of(b"0123456789");
    let writable = || File::options().write(true).open(temp.path()).unwrap();
    let (unix, unix_peer) = UnixStream::pair().unwrap();
    let (tcp, tcp_peer): (TcpStream, TcpStream) = tcp_pair();
    let (reader, pipe) = io::pipe().unwrap();
    let (abandoned, _) = UnixStream::pair().unwrap();
    let (shut, shut_peer) = UnixStream::pair().unwrap();
    shut.shutdown(std::net::Shutdown::Write).unwrap();
    vec![
        ("a Unix socket", unix.into(), Some(unix_peer.into())),
        ("a TCP socket", tcp.into(), Some(tcp_peer.into())),
        ("a pipe", pipe.into(), Some(reader.into())),
        ("a file", writable().into(), None),
        ("a file to append to", File::options().append(true).open(temp.path()).unwrap().into(), None),
        ("a file to read", temp.open().into(), None),
        ("/dev/null", File::options().write(true).open("/dev/null").unwrap().into(), None),
        ("a socket whose peer has gone", abandoned.into(), None),
        ("a socket that was shut", shut.into(), Some(shut_peer.into())),
        ("a socket without a peer", TcpListener::bind("127.0.0.1:0").unwrap().into(), None),
    ]
}

/// Sources, each new.
fn inputs() -> Vec<(&'static str, OwnedFd, Option<OwnedFd>)> {
    let temp = Temp::of(&crate::testing::pattern(3000, 1));
    let (pipe, writer) = io::pipe().unwrap();
    let moved = temp.open();
    (&moved).seek(SeekFrom::Start(2990)).unwrap();
    vec![
        ("a file", temp.open().into(), None),
        ("a file at 2990", moved.into(), None),
        ("an empty file", Temp::of(b"").open().into(), None),
        ("a file to write", File::options().write(true).open(temp.path()).unwrap().into(), None),
        ("/dev/zero", File::open("/dev/zero").unwrap().into(), None),
        ("a directory", File::open("/").unwrap().into(), None),
        ("a pipe", pipe.into(), Some(writer.into())),
    ]
}

const OFFSETS: [Option<u64>; 7] =
    [None, Some(0), Some(1000), Some(3000), Some(1 << 40), Some((1 << 63) - 20), Some((1 << 63) - 1)];

/// What the kernel answers to each way of putting output, source and offset together, and where the file stands then.
fn answers<S: Subject>(nbytes: u64) -> Vec<(String, Outcome, Option<u64>)> {
    let mut answers = Vec::new();
    let machine = Rc::new(Machine::default());
    let _booted = S::boot(&machine);
    for (offset, o) in OFFSETS.into_iter().flat_map(|offset| (0..outputs().len()).map(move |o| (offset, o))) {
        for i in 0..inputs().len() {
            let (to, out, _peer) = outputs().swap_remove(o);
            let (from, input, _writer) = inputs().swap_remove(i);
            let call = Call {
                out: out.as_fd(),
                input: input.as_fd(),
                offset,
                nbytes,
                headers: &[],
                flags: 0,
            };
            let outcome = S::Kernel::default().sendfile(&call);
            let position = posix::position(input.as_fd()).ok();
            answers.push((format!("{nbytes} bytes of {from} at {offset:?} to {to}"), outcome, position));
        }
    }
    answers
}

#[test]
fn it_answers_as_the_real_one_does() {
    for nbytes in [1, 500, 2999] {
        let real = answers::<Real>(nbytes);
        for (emulated, real) in answers::<EmulatedLinux>(nbytes).into_iter().zip(real) {
            assert_eq!(emulated, real);
        }
    }
}
}
