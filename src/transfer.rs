//! One transfer as a state machine: [`Transfer::step`] sends until the socket is full, the range ends or the budget is
//! spent. It knows no threads and waits for nothing.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd};

use crate::attempt::{attempt, persist, Request};
use crate::sys::cache::{self, Residency};
use crate::sys::{posix, signal, Kernel, Outcome};

/// The most bytes that one step on the caller's own thread may send.
pub const INLINE_MAX: u64 = 1024 * 1024;

/// Up to here a file whose pages nobody will count is read, as far as it is in memory, and written with its head.
const READ_NOW_MAX: u64 = 64 * 1024;

/// Up to here bytes that are in memory are read and written with their head: one call for the socket instead of two,
/// and none to ask where they are. From about this size on copying them costs more than that.
const SMALL: u64 = 16 * 1024;

/// File bytes per turn of the copy path.
const COPY_CHUNK: usize = 128 * 1024;

/// How the file's bytes get to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// sendfile, and copy where the kernel refuses before the first byte of the file.
    Auto,
    /// sendfile and nothing else.
    Sendfile,
    /// pread(2) and sendmsg(2).
    Copy,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The budget is spent: there is more to send, and the socket may take it.
    Again,
    /// The socket is full.
    Wait,
    /// Everything is out.
    Done,
    /// The kernel said no, with this errno: of the socket, if it is one that both sides can have.
    Failed(i32),
    /// The file cannot be read, with this errno.
    Unreadable(i32),
    /// The file ended before the promised length.
    Truncated,
}

/// A transfer: bytes before the file, a range of the file, bytes after it. It owns no descriptor: `F` and `O` do.
#[derive(Debug)]
pub struct Transfer<O, F> {
    out: O,
    file: F,
    offset: u64,
    length: u64,
    head: Box<[u8]>,
    tail: Box<[u8]>,
    sent: u64,
    method: Method,
    refusal: i32,
    calls: u32,
    trusted: bool,
    copied: bool,
    /// The last step found the socket full and moved nothing.
    stuck: bool,
    /// File bytes of the last step.
    took: Option<u32>,
}

/// What one turn of a step did. `unread`: its errno is the file's.
struct Turn {
    outcome: Outcome,
    unread: bool,
}

impl<O: AsFd, F: AsFd> Transfer<O, F> {
    /// `length` bytes of `file` from `offset` on, between `head` and `tail`, to `out`.
    pub fn new(out: O, file: F, offset: u64, length: u64, method: Method) -> Self {
        Self {
            out,
            file,
            offset,
            length,
            head: Box::default(),
            tail: Box::default(),
            sent: 0,
            method,
            refusal: 0,
            calls: 0,
            trusted: false,
            copied: false,
            stuck: false,
            took: None,
        }
    }

    /// Puts bytes before and after the file's.
    #[must_use]
    pub fn framed(mut self, head: Box<[u8]>, tail: Box<[u8]>) -> Self {
        self.head = head;
        self.tail = tail;
        self
    }

    /// Says that the file's system lives in this machine's memory or on its disks.
    #[must_use]
    pub const fn trusting(mut self, trusted: bool) -> Self {
        self.trusted = trusted;
        self
    }

    /// The same transfer, where it stands, with other owners of its descriptors.
    pub fn rehoused<P: AsFd, G: AsFd>(self, out: P, file: G) -> Transfer<P, G> {
        Transfer {
            out,
            file,
            offset: self.offset,
            length: self.length,
            head: self.head,
            tail: self.tail,
            sent: self.sent,
            method: self.method,
            refusal: self.refusal,
            calls: self.calls,
            trusted: self.trusted,
            copied: self.copied,
            stuck: self.stuck,
            took: self.took,
        }
    }

    /// Bytes on the socket so far: head, file and tail.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Attempts made so far.
    pub const fn calls(&self) -> u32 {
        self.calls
    }

    /// Bytes of the file have gone through user space, or will.
    pub fn copies(&self) -> bool {
        self.copied || self.method == Method::Copy
    }

    /// The errno by which the kernel refused its own way, 0 if it did not.
    pub const fn refusal(&self) -> i32 {
        self.refusal
    }

    /// The socket.
    pub const fn out(&self) -> &O {
        &self.out
    }

    /// Would the next step of `window` file bytes wait for a disk?
    pub fn residency(&self, window: u64) -> Residency {
        let done = self.file_sent();
        let length = (self.length - done).min(window);
        cache::residency(self.file.as_fd(), self.offset + done, length, self.trusted)
    }

    /// Asks once whether the file's system is local, which may wait for a server: for threads that may wait.
    pub fn learn_place(&mut self) {
        if !self.trusted {
            self.trusted = crate::sys::open::is_local(self.file.as_fd());
        }
    }

    /// File bytes that the last step has sent, by which the next is guessed at; `None` before the first.
    pub fn took(&self) -> Option<u64> {
        self.took.map(u64::from)
    }

    /// Sends until the socket is full, the range ends, or `budget` file bytes are out.
    pub fn step<K: Kernel>(&mut self, kernel: &K, budget: u64) -> Step {
        let began = self.file_sent();
        let step = self.advance(kernel, budget);
        self.took = Some(u32::try_from(self.file_sent() - began).unwrap_or(u32::MAX));
        step
    }

    fn advance<K: Kernel>(&mut self, kernel: &K, budget: u64) -> Step {
        let mut left = budget;
        loop {
            if self.sent == self.total() {
                return Step::Done;
            }
            if left == 0 {
                return Step::Again;
            }
            let before = self.file_sent();
            let Turn { outcome, unread } = if self.method == Method::Copy {
                self.copy_once(kernel, left)
            } else {
                self.send_once(kernel, left)
            };
            self.calls += 1;
            self.sent += outcome.sent;
            left = left.saturating_sub((self.file_sent() - before).max(1));
            // An errno beside bytes is not lost: the next turn meets it again.
            if outcome.sent > 0 {
                self.stuck = false;
                continue;
            }
            match outcome.errno {
                0 => return Step::Truncated,
                errno if unread => return Step::Unreadable(errno),
                // Twice in a row, though the socket took bytes again in between: it may be the file that has none.
                libc::EAGAIN if self.stuck && self.read_errno(kernel) == libc::EAGAIN => {
                    return Step::Unreadable(libc::EAGAIN);
                }
                libc::EAGAIN => {
                    self.stuck = true;
                    return Step::Wait;
                }
                errno if self.may_copy() && is_refusal(errno) => {
                    self.refusal = errno;
                    self.method = Method::Copy;
                }
                errno if is_of_both(errno) && self.read_errno(kernel) != 0 => {
                    return Step::Unreadable(errno);
                }
                errno => return Step::Failed(errno),
            }
        }
    }

    /// The errno by which the next byte of the file cannot be read; 0 where it can, or where none is due.
    fn read_errno<K: Kernel>(&self, kernel: &K) -> i32 {
        let done = self.file_sent();
        if !self.head_left().is_empty() || done == self.length {
            return 0;
        }
        let read = persist(|| kernel.pread(self.file.as_fd(), &mut [0], self.offset + done));
        if read.sent == 0 {
            read.errno
        } else {
            0
        }
    }

    /// A first attempt on a thread that must not wait for a disk: `None` where it might have to.
    pub fn try_now<K: Kernel>(&mut self, kernel: &K) -> Option<Step> {
        let left = self.length - self.file_sent();
        if left > INLINE_MAX || self.method == Method::Copy && left > READ_NOW_MAX {
            return None;
        }
        if self.method == Method::Copy {
            return self.write_from_memory(kernel, left);
        }
        if self.method == Method::Auto && (1..=SMALL).contains(&left) {
            let step = self.write_from_memory(kernel, left);
            if step.is_some() {
                return step;
            }
        }
        self.try_knowing(kernel, left, self.residency(left))
    }

    fn try_knowing<K: Kernel>(&mut self, kernel: &K, left: u64, residency: Residency) -> Option<Step> {
        match residency {
            Residency::Hot => Some(self.step(kernel, INLINE_MAX)),
            // Only reading stops where the memory ends, and reading is copying.
            Residency::Likely if left <= READ_NOW_MAX && self.method == Method::Auto => {
                self.write_from_memory(kernel, left)
            }
            _ => None,
        }
    }

    /// Reads the range as far as it is in memory; if that is all of it, writes it with its head and tail in one go.
    fn write_from_memory<K: Kernel>(&mut self, kernel: &K, left: u64) -> Option<Step> {
        with_scratch(|scratch| {
            let length = usize::try_from(left).ok()?;
            let buffer = scratch.get_mut(..length)?;
            let offset = self.offset + self.file_sent();
            if length > 0 && cache::read_now(self.file.as_fd(), buffer, offset)? < length {
                return None;
            }
            let outcome = self.write_around(kernel, buffer, true);
            self.calls += 1;
            self.sent += outcome.sent;
            self.copied |= self.file_sent() > 0;
            Some(match outcome {
                _ if self.sent == self.total() => Step::Done,
                Outcome { sent: 0, errno } if errno != libc::EAGAIN => Step::Failed(errno),
                _ => Step::Wait,
            })
        })
    }

    fn send_once<K: Kernel>(&self, kernel: &K, left: u64) -> Turn {
        let done = self.file_sent();
        let length = (self.length - done).min(left);
        let whole = done + length == self.length;
        let tail = if whole { self.tail_left() } else { &[] };
        let tally = attempt(
            kernel,
            &Request {
                out: self.out.as_fd(),
                input: self.file.as_fd(),
                offset: Some(self.offset + done),
                nbytes: Some(length),
                headers: &[self.head_left()],
                trailers: &[tail],
                flags: 0,
                sized: true,
            },
        );
        Turn { outcome: Outcome { sent: tally.total(), errno: tally.errno }, unread: false }
    }

    fn copy_once<K: Kernel>(&self, kernel: &K, left: u64) -> Turn {
        with_scratch(|scratch| {
            let done = self.file_sent();
            let wanted = (self.length - done).min(left).min(COPY_CHUNK as u64);
            let Some(buffer) = usize::try_from(wanted).ok().and_then(|wanted| scratch.get_mut(..wanted))
            else {
                return Turn { outcome: Outcome::failed(libc::ENOMEM), unread: true };
            };
            let mut filled = 0;
            if !buffer.is_empty() {
                let read = persist(|| kernel.pread(self.file.as_fd(), buffer, self.offset + done));
                // What comes before the file is owed all the same; the next turn meets the end or the error again.
                if read.sent == 0 && self.head_left().is_empty() {
                    return Turn { outcome: read, unread: true };
                }
                filled = usize::try_from(read.sent).unwrap_or(0);
            }
            let whole = done + filled as u64 == self.length;
            Turn { outcome: self.write_around(kernel, &buffer[..filled], whole), unread: false }
        })
    }

    /// Writes what is left of the head, then `bytes`, then what is left of the tail if `whole`.
    fn write_around<K: Kernel>(&self, kernel: &K, bytes: &[u8], whole: bool) -> Outcome {
        let tail = if whole { self.tail_left() } else { &[] };
        let parts = [self.head_left(), bytes, tail];
        let mut filled: [&[u8]; 3] = [&[]; 3];
        let mut count = 0;
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            filled[count] = part;
            count += 1;
        }
        let send = || persist(|| kernel.send(self.out.as_fd(), &filled[..count], !whole));
        if posix::SENDS_QUIETLY {
            send()
        } else {
            signal::quietly(send)
        }
    }

    const fn may_copy(&self) -> bool {
        matches!(self.method, Method::Auto) && self.file_sent() == 0
    }

    const fn total(&self) -> u64 {
        self.head.len() as u64 + self.length + self.tail.len() as u64
    }

    const fn file_sent(&self) -> u64 {
        let past_head = self.sent.saturating_sub(self.head.len() as u64);
        if past_head < self.length {
            past_head
        } else {
            self.length
        }
    }

    fn head_left(&self) -> &[u8] {
        rest(&self.head, self.sent)
    }

    fn tail_left(&self) -> &[u8] {
        rest(&self.tail, self.sent.saturating_sub(self.head.len() as u64 + self.length))
    }
}

fn rest(bytes: &[u8], done: u64) -> &[u8] {
    usize::try_from(done).ok().and_then(|done| bytes.get(done..)).unwrap_or_default()
}

/// The errnos by which a kernel, a file system or a sandbox says "not by this call": the bytes may still be read and
/// written.
#[must_use]
pub const fn is_refusal(errno: i32) -> bool {
    // ENOTSUP and EOPNOTSUPP are one number on Linux and two elsewhere.
    errno == libc::EOPNOTSUPP
        || matches!(
            errno,
            libc::EINVAL
                | libc::ENOSYS
                | libc::ENOTSUP
                | libc::EPERM
                | libc::ENOTSOCK
                | libc::ESPIPE
                | libc::EXDEV
                | libc::EIO
                | libc::EAFNOSUPPORT
        )
}

/// The errnos that tell of a lost connection, of which a file of a server or of a FUSE daemon may have one too.
const fn is_of_both(errno: i32) -> bool {
    matches!(
        errno,
        libc::ENOTCONN | libc::ECONNABORTED | libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH
    )
}

fn with_scratch<T>(run: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.is_empty() {
            *scratch = vec![0; COPY_CHUNK];
        }
        run(scratch)
    })
}

/// A descriptor that someone else keeps open for the length of a first attempt.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a>(pub BorrowedFd<'a>);

impl AsFd for Lent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

#[cfg(test)]
#[path = "transfer/tests.rs"]
mod tests;
