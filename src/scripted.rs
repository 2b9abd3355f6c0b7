//! Kernels for tests: [`Scripted`] answers by heart and notes what it was asked, [`Wire`] keeps the bytes that it is
//! given and takes them in pieces.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;

use crate::sys::{Call, Kernel, Outcome};

/// What kind of kernel it is.
pub trait Shape {
    /// See [`Kernel::MAX`].
    const MAX: u64 = 1 << 30;
    /// See [`Kernel::FLAGS`].
    const FLAGS: bool = false;
    /// See [`Kernel::VECTORED`].
    const VECTORED: bool = false;
    /// See [`Kernel::NULL_OFFSET`].
    const NULL_OFFSET: bool = false;
    /// See [`Kernel::CLAMP`].
    const CLAMP: bool = false;
}

/// Nothing but sendfile.
pub struct Plain;
impl Shape for Plain {}

/// Knows the file's own position, as Linux does.
pub struct Positioned;
impl Shape for Positioned {
    const NULL_OFFSET: bool = true;
}

/// Takes headers too.
pub struct Vectored;
impl Shape for Vectored {
    const VECTORED: bool = true;
}

/// What was asked of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// sendfile without headers and flags: offset and length.
    File(Option<u64>, u64),
    /// sendfile with some of them.
    Vector {
        /// The headers, joined.
        headers: Vec<u8>,
        /// Where to start.
        offset: Option<u64>,
        /// How much.
        nbytes: u64,
        /// The OS's flags.
        flags: i32,
    },
    /// The buffers, joined, how many they were, and the promise of more.
    Send(Vec<u8>, usize, bool),
    /// flush.
    Flush,
    /// size.
    Size,
    /// position.
    Position,
    /// seek.
    Seek(u64),
    /// pread: length and offset.
    Read(usize, u64),
    /// `check_modes`.
    Modes,
}

/// Answers from a queue.
pub struct Scripted<S> {
    answers: RefCell<VecDeque<Outcome>>,
    asked: RefCell<Vec<Asked>>,
    size: Result<Option<u64>, i32>,
    position: Result<u64, i32>,
    modes: Result<(), i32>,
    shape: PhantomData<S>,
}

impl<S> Scripted<S> {
    /// A kernel that gives these answers to sendfile, send and pread, in this order, and has no other. Its file is a
    /// million bytes long.
    pub fn new(answers: impl IntoIterator<Item = Outcome>) -> Self {
        Self {
            answers: RefCell::new(answers.into_iter().collect()),
            asked: RefCell::default(),
            size: Ok(Some(1_000_000)),
            position: Ok(0),
            modes: Ok(()),
            shape: PhantomData,
        }
    }

    /// What fstat says.
    pub fn sized(mut self, size: Result<Option<u64>, i32>) -> Self {
        self.size = size;
        self
    }

    /// What lseek says.
    pub fn at(mut self, position: Result<u64, i32>) -> Self {
        self.position = position;
        self
    }

    /// What `check_modes` says.
    pub fn with_modes(mut self, modes: Result<(), i32>) -> Self {
        self.modes = modes;
        self
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Answers that nobody has asked for.
    pub fn left(&self) -> usize {
        self.answers.borrow().len()
    }

    fn note(&self, asked: Asked) {
        self.asked.borrow_mut().push(asked);
    }

    fn answer(&self, asked: Asked) -> Outcome {
        let answer = self.answers.borrow_mut().pop_front();
        // Buffers may be long.
        let answer = answer.unwrap_or_else(|| panic!("nobody expects {:.200}", format!("{asked:?}")));
        self.note(asked);
        answer
    }
}

impl<S: Shape> Kernel for Scripted<S> {
    const SYSCALL: Option<&'static str> = Some("sendfile");
    const MAX: u64 = S::MAX;
    const FLAGS: bool = S::FLAGS;
    const VECTORED: bool = S::VECTORED;
    const NULL_OFFSET: bool = S::NULL_OFFSET;
    const CLAMP: bool = S::CLAMP;

    fn sendfile(&self, call: &Call<'_>) -> Outcome {
        let &Call { offset, nbytes, headers, flags, .. } = call;
        assert!(nbytes > 0 && nbytes <= S::MAX);
        assert!(headers.iter().all(|buffer| !buffer.is_empty()));
        if headers.is_empty() && flags == 0 {
            return self.answer(Asked::File(offset, nbytes));
        }
        assert!(S::VECTORED || headers.is_empty());
        self.answer(Asked::Vector { headers: headers.concat(), offset, nbytes, flags })
    }

    fn send(&self, _: BorrowedFd<'_>, buffers: &[&[u8]], more: bool) -> Outcome {
        assert!(buffers.iter().all(|buffer| !buffer.is_empty()));
        self.answer(Asked::Send(buffers.concat(), buffers.len(), more))
    }

    fn flush(&self, _: BorrowedFd<'_>) {
        self.note(Asked::Flush);
    }

    fn size(&self, _: BorrowedFd<'_>) -> Result<Option<u64>, i32> {
        self.note(Asked::Size);
        self.size
    }

    fn position(&self, _: BorrowedFd<'_>) -> Result<u64, i32> {
        self.note(Asked::Position);
        self.position
    }

    fn seek(&self, _: BorrowedFd<'_>, position: u64) -> Result<(), i32> {
        self.note(Asked::Seek(position));
        Ok(())
    }

    fn pread(&self, _: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Outcome {
        let answer = self.answer(Asked::Read(buffer.len(), offset));
        buffer.fill(b'f');
        answer
    }

    fn check_modes(&self, _: BorrowedFd<'_>, _: BorrowedFd<'_>) -> Result<(), i32> {
        self.note(Asked::Modes);
        self.modes
    }
}

/// Keeps what it is given.
pub struct Wire<S> {
    file: Vec<u8>,
    position: Cell<u64>,
    fates: RefCell<VecDeque<Outcome>>,
    got: RefCell<Vec<u8>>,
    shape: PhantomData<S>,
}

impl<S> Wire<S> {
    /// A kernel over this file. Each call takes at most as many bytes as the next fate says and leaves its errno;
    /// once they are used up, all that there is.
    pub fn new(file: Vec<u8>, fates: impl IntoIterator<Item = Outcome>) -> Self {
        Self {
            file,
            position: Cell::new(0),
            fates: RefCell::new(fates.into_iter().collect()),
            got: RefCell::default(),
            shape: PhantomData,
        }
    }

    /// The bytes that went over it.
    pub fn got(&self) -> Vec<u8> {
        self.got.borrow().clone()
    }

    /// The file's own position.
    pub fn position(&self) -> u64 {
        self.position.get()
    }

    fn next(&self) -> Outcome {
        self.fates.borrow_mut().pop_front().unwrap_or(Outcome::sent(u64::MAX))
    }

    fn take(&self, bytes: &[u8]) -> Outcome {
        let fate = self.next();
        let length = usize::try_from(fate.sent).unwrap_or(usize::MAX).min(bytes.len());
        self.got.borrow_mut().extend_from_slice(&bytes[..length]);
        Outcome::partial(length as u64, fate.errno)
    }

    fn range(&self, offset: u64, length: u64) -> &[u8] {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.file.get(offset..));
        let rest = rest.unwrap_or_default();
        &rest[..usize::try_from(length).unwrap_or(usize::MAX).min(rest.len())]
    }
}

impl<S: Shape> Kernel for Wire<S> {
    const SYSCALL: Option<&'static str> = Some("sendfile");
    const MAX: u64 = S::MAX;
    const FLAGS: bool = S::FLAGS;
    const VECTORED: bool = S::VECTORED;
    const NULL_OFFSET: bool = S::NULL_OFFSET;
    const CLAMP: bool = S::CLAMP;

    fn sendfile(&self, call: &Call<'_>) -> Outcome {
        let range = self.range(call.offset.unwrap_or(self.position.get()), call.nbytes);
        let headers = call.headers.concat();
        let outcome = self.take(&[&headers, range].concat());
        if call.offset.is_none() {
            let of_file = outcome.sent.saturating_sub(headers.len() as u64).min(range.len() as u64);
            self.position.set(self.position.get() + of_file);
        }
        outcome
    }

    fn send(&self, _: BorrowedFd<'_>, buffers: &[&[u8]], _: bool) -> Outcome {
        self.take(&buffers.concat())
    }

    fn flush(&self, _: BorrowedFd<'_>) {}

    fn size(&self, _: BorrowedFd<'_>) -> Result<Option<u64>, i32> {
        Ok(Some(self.file.len() as u64))
    }

    fn position(&self, _: BorrowedFd<'_>) -> Result<u64, i32> {
        Ok(self.position.get())
    }

    fn seek(&self, _: BorrowedFd<'_>, position: u64) -> Result<(), i32> {
        self.position.set(position);
        Ok(())
    }

    fn pread(&self, _: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Outcome {
        let range = self.range(offset, buffer.len() as u64);
        let mut fate = self.next();
        while fate == Outcome::failed(libc::EAGAIN) {
            // Only sockets are full.
            fate = self.next();
        }
        let length = usize::try_from(fate.sent).unwrap_or(usize::MAX).min(range.len());
        buffer[..length].copy_from_slice(&range[..length]);
        Outcome::partial(length as u64, if length == 0 { fate.errno } else { 0 })
    }

    fn check_modes(&self, _: BorrowedFd<'_>, _: BorrowedFd<'_>) -> Result<(), i32> {
        Ok(())
    }
}
