//! What tests of several layers share: files, sockets with small buffers, readers, processes of their own.

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, process};

use crate::sys::testing::{set_option, shrink_buffers};

/// How long a test waits for what must come: generous, since only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes in which no two places look alike.
pub fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A name in the directory for temporary files, removed at the end.
pub struct Temp(PathBuf);

impl Temp {
    /// A name without a file.
    pub fn name() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("rs-sendfile-test-{}-{n}", process::id())))
    }

    /// A file with these contents.
    pub fn of(bytes: &[u8]) -> Self {
        let temp = Self::name();
        fs::write(&temp.0, bytes).unwrap();
        temp
    }

    /// The name.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file, for reading.
    pub fn open(&self) -> File {
        File::open(&self.0).unwrap()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Two connected Unix sockets with the smallest buffers; the first does not block.
///
/// They hold about 4 KiB that are written and, on Linux, 64 KiB that sendfile passes on by the page.
pub fn narrow_pair() -> (UnixStream, UnixStream) {
    let (out, peer) = UnixStream::pair().unwrap();
    shrink_buffers(&out);
    shrink_buffers(&peer);
    out.set_nonblocking(true).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (out, peer)
}

/// Two connected TCP sockets; the first does not block.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let out = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    out.set_nonblocking(true).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (out, peer)
}

/// As [`tcp_pair`], with small buffers. Segments are small too: a window of less than one moves by timer.
pub fn narrow_tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    set_option(&listener, libc::SOL_SOCKET, libc::SO_RCVBUF, 8192);
    set_option(&listener, libc::IPPROTO_TCP, libc::TCP_MAXSEG, 536);
    let out = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    set_option(&out, libc::SOL_SOCKET, libc::SO_SNDBUF, 8192);
    out.set_nonblocking(true).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (out, peer)
}

/// Reads until the end, in small pieces of odd sizes, on a thread of its own.
pub fn slow_reader(mut peer: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4000];
        for turn in 0.. {
            match peer.read(&mut buffer[..1 + turn * 997 % 4000]).unwrap() {
                0 => break,
                n => bytes.extend_from_slice(&buffer[..n]),
            }
        }
        bytes
    })
}

/// Reads exactly so many bytes.
pub fn read_exactly(peer: &mut impl Read, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    peer.read_exact(&mut bytes).unwrap();
    bytes
}

/// Looks again and again until it is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Fails, naming the place, unless both are the same: a diff of megabytes helps nobody.
#[track_caller]
pub fn assert_same(got: &[u8], wanted: &[u8]) {
    let place = got.iter().zip(wanted).position(|(a, b)| a != b);
    assert_eq!((got.len(), place), (wanted.len(), None), "length, first difference");
}

/// Runs the body of the test of this name (with its modules) in a process where nothing else runs, so that it may
/// change signals and count threads and descriptors.
pub fn alone(name: &str, body: impl FnOnce()) {
    const ALONE: &str = "RS_SENDFILE_TEST_ALONE";
    if env::var(ALONE).is_ok_and(|value| value == name) {
        return body();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, name)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The buffers without the first `done` bytes.
pub fn after(buffers: &[Vec<u8>], mut done: usize) -> Vec<&[u8]> {
    let mut left = Vec::new();
    for buffer in buffers {
        let skipped = done.min(buffer.len());
        done -= skipped;
        left.push(&buffer[skipped..]);
    }
    left
}
