//! What the emulated kernels share: descriptors as they really are, a real socket that takes only so much, and what
//! may come between.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;

use libc::{c_int, c_void};

/// What ends a call before all its bytes are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The socket's buffer.
    Full,
    /// A signal.
    Signal,
    /// A page of the file that someone else is reading.
    Busy,
    /// The peer has gone. So it stays.
    Gone,
    /// The peer has reset the connection. After that it has gone.
    Reset,
    /// The disk.
    Disk,
}

impl Stop {
    /// The errno that tells of it.
    #[must_use]
    pub const fn errno(self) -> i32 {
        match self {
            Self::Full => libc::EAGAIN,
            Self::Signal => libc::EINTR,
            Self::Busy => libc::EBUSY,
            Self::Gone => libc::EPIPE,
            Self::Reset => libc::ECONNRESET,
            Self::Disk => libc::EIO,
        }
    }
}

/// So many bytes further on, this happens: to the next call that wants to put one more.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// Bytes that the socket takes until then.
    pub room: u64,
    /// What happens.
    pub stop: Stop,
}

/// The state behind an emulated kernel.
#[derive(Default)]
pub struct Machine {
    fates: RefCell<VecDeque<Fate>>,
    put: Cell<u64>,
    passes: Cell<u64>,
    forbidden: Cell<i32>,
    meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
    cache: RefCell<HashMap<c_int, Vec<u8>>>,
}

impl Machine {
    /// These things happen, one after the other. After them the socket does what it does.
    pub fn fated(fates: impl IntoIterator<Item = Fate>) -> Self {
        Self { fates: RefCell::new(fates.into_iter().collect()), ..Self::default() }
    }

    /// Lets a sandbox refuse the call with this errno before the kernel's own code is reached.
    pub fn forbid(&self, errno: i32) {
        self.forbidden.set(errno);
    }

    /// Has something happen once, as the next call begins.
    pub fn meanwhile(&self, event: impl FnOnce() + 'static) {
        *self.meanwhile.borrow_mut() = Some(Box::new(event));
    }

    /// Bytes put on sockets so far.
    #[must_use]
    pub fn put(&self) -> u64 {
        self.put.get()
    }

    /// Calls that could have sent something.
    #[must_use]
    pub fn passes(&self) -> u64 {
        self.passes.get()
    }

    /// The errno of a sandbox, if there is one.
    pub(super) fn refusal(&self) -> Option<i32> {
        Some(self.forbidden.get()).filter(|&errno| errno != 0)
    }

    /// A call begins.
    pub(super) fn pass(&self, out: c_int) -> Pass<'_> {
        let event = self.meanwhile.borrow_mut().take();
        if let Some(event) = event {
            event();
        }
        self.passes.set(self.passes.get() + 1);
        Pass { machine: self, out, sent: 0, stale: false, waits: true }
    }

    /// sendmsg(2) on this machine: at most so many bytes of the buffers go out, by `send`.
    pub fn limit(&self, out: c_int, length: u64, send: impl FnOnce(u64) -> (u64, i32)) -> (u64, i32) {
        let mut pass = self.pass(out);
        let allowed = pass.room().min(length);
        if allowed == 0 && length > 0 {
            return (0, pass.stop().errno());
        }
        let (sent, errno) = send(allowed);
        pass.count(sent);
        (sent, errno)
    }
}

/// One call on its way.
pub(super) struct Pass<'a> {
    machine: &'a Machine,
    out: c_int,
    /// Bytes that it has put on the socket.
    pub sent: u64,
    /// File bytes come from where the machine keeps what it once read.
    pub stale: bool,
    /// It waits for pages that are busy.
    pub waits: bool,
}

impl Pass<'_> {
    /// The socket.
    pub fn out(&self) -> c_int {
        self.out
    }

    /// Puts bytes on the socket, or as many as it takes.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let allowed = usize::try_from(self.room()).unwrap_or(usize::MAX).min(rest.len());
            if allowed == 0 {
                return Err(self.stop());
            }
            let n = write_now(self.out, &rest[..allowed])?;
            self.count(n as u64);
            rest = &rest[n..];
        }
        Ok(())
    }

    /// Puts a piece of a file on the socket: how much of it there was.
    pub fn put_file(&mut self, file: c_int, offset: i64, length: u64) -> Result<u64, Stop> {
        let mut piece = [0; 16 * 1024];
        let mut done = 0;
        while done < length {
            let wanted = usize::try_from(length - done).unwrap_or(usize::MAX).min(piece.len());
            let place = offset.checked_add_unsigned(done).ok_or(Stop::Disk)?;
            let n = self.read(file, &mut piece[..wanted], place)?;
            if n == 0 {
                break;
            }
            self.put(&piece[..n])?;
            done += n as u64;
        }
        Ok(done)
    }

    /// Reads from a file, or from what the machine kept of it.
    pub fn read(&self, file: c_int, buffer: &mut [u8], offset: i64) -> Result<usize, Stop> {
        if self.stale {
            let mut cache = self.machine.cache.borrow_mut();
            let kept = cache.entry(file).or_insert_with(|| contents(file));
            let rest = usize::try_from(offset).ok().and_then(|offset| kept.get(offset..)).unwrap_or_default();
            let n = rest.len().min(buffer.len());
            buffer[..n].copy_from_slice(&rest[..n]);
            return Ok(n);
        }
        read_at(file, buffer, offset).ok_or(Stop::Disk)
    }

    /// Does one of these stand in the way of even one more byte?
    pub fn blocked(&self, by: &[Stop]) -> Option<Stop> {
        if self.room() == 0 {
            let next = self.machine.fates.borrow().front().map(|fate| fate.stop);
            return next.filter(|stop| by.contains(stop)).map(|_| self.stop());
        }
        (by.contains(&Stop::Full) && !takes_bytes(self.out)).then_some(Stop::Full)
    }

    /// Ends the connection, for its peer too.
    pub fn close(&self) {
        // SAFETY: takes no memory.
        unsafe { libc::shutdown(self.out, libc::SHUT_WR) };
    }

    /// Bytes until something happens. What is waited out does not happen.
    pub fn room(&self) -> u64 {
        let mut fates = self.machine.fates.borrow_mut();
        while let Some(Fate { room, .. }) = fates.pop_front_if(|fate| self.waits && fate.stop == Stop::Busy) {
            if let Some(next) = fates.front_mut() {
                next.room += room;
            }
        }
        fates.front().map_or(u64::MAX, |fate| fate.room)
    }

    /// It happens.
    fn stop(&self) -> Stop {
        let stop = self.machine.fates.borrow_mut().pop_front().map_or(Stop::Full, |fate| fate.stop);
        if matches!(stop, Stop::Gone | Stop::Reset) {
            self.close();
        }
        stop
    }

    fn count(&mut self, sent: u64) {
        self.sent += sent;
        self.machine.put.set(self.machine.put.get() + sent);
        if let Some(fate) = self.machine.fates.borrow_mut().front_mut() {
            fate.room -= sent;
        }
    }
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A regular file.
    Regular,
    /// A socket.
    Socket {
        /// Of bytes in order.
        stream: bool,
        /// With someone at the other end.
        connected: bool,
    },
    /// A pipe.
    Pipe,
    /// A character device.
    Device,
    /// A directory, or anything else.
    Other,
}

/// What a descriptor is; `None` if it is closed.
pub(super) fn what(fd: c_int) -> Option<What> {
    // SAFETY: an all-zero stat is a valid value: it holds only numbers.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is live and of the size that the call writes.
    if unsafe { libc::fstat(fd, &raw mut stat) } != 0 {
        return None;
    }
    Some(match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => What::Regular,
        libc::S_IFIFO => What::Pipe,
        libc::S_IFCHR => What::Device,
        libc::S_IFSOCK => What::Socket { stream: is_stream(fd), connected: is_connected(fd) },
        _ => What::Other,
    })
}

/// May it be read from? No, if it is closed.
pub(super) fn readable(fd: c_int) -> bool {
    access(fd).is_some_and(|mode| mode != libc::O_WRONLY)
}

/// May it be written to? No, if it is closed.
pub(super) fn writable(fd: c_int) -> bool {
    access(fd).is_some_and(|mode| mode != libc::O_RDONLY)
}

/// Is it written to only at its end?
pub(super) fn appends(fd: c_int) -> bool {
    flags(fd).is_some_and(|flags| flags & libc::O_APPEND != 0)
}

/// The size of a file.
pub(super) fn size(file: c_int) -> i64 {
    // SAFETY: an all-zero stat is a valid value: it holds only numbers.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is live and of the size that the call writes.
    assert_eq!(unsafe { libc::fstat(file, &raw mut stat) }, 0);
    stat.st_size
}

/// The position of a file.
pub(super) fn position(file: c_int) -> Option<i64> {
    // SAFETY: takes no memory.
    Some(unsafe { libc::lseek(file, 0, libc::SEEK_CUR) }).filter(|&position| position >= 0)
}

/// Moves the position of a file.
pub(super) fn seek(file: c_int, position: i64) {
    // SAFETY: takes no memory.
    assert_eq!(unsafe { libc::lseek(file, position, libc::SEEK_SET) }, position);
}

/// What a write to a dead peer does to the thread.
pub(super) fn raise_sigpipe() {
    // SAFETY: takes no memory.
    unsafe { libc::raise(libc::SIGPIPE) };
}

fn flags(fd: c_int) -> Option<c_int> {
    // SAFETY: takes no memory; a closed descriptor is only an error.
    Some(unsafe { libc::fcntl(fd, libc::F_GETFL) }).filter(|&flags| flags >= 0)
}

fn access(fd: c_int) -> Option<c_int> {
    flags(fd).map(|flags| flags & libc::O_ACCMODE)
}

fn is_stream(fd: c_int) -> bool {
    let mut kind: c_int = 0;
    let mut size = libc::socklen_t::try_from(size_of::<c_int>()).unwrap();
    // SAFETY: `kind` and `size` are live, and `size` says how large `kind` is.
    let asked = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut size)
    };
    asked == 0 && kind == libc::SOCK_STREAM
}

fn is_connected(fd: c_int) -> bool {
    // SAFETY: an all-zero address is a valid value.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut size = libc::socklen_t::try_from(size_of::<libc::sockaddr_storage>()).unwrap();
    // SAFETY: `address` and `size` are live, and `size` says how large `address` is.
    let asked = unsafe { libc::getpeername(fd, (&raw mut address).cast(), &raw mut size) };
    // A peer that has gone was there: only who never had one has none.
    asked == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOTCONN)
}

fn takes_bytes(fd: c_int) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: `poll` is live and is one entry; no time to wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

/// Writes without waiting and without SIGPIPE: the kernels raise it themselves, those that do.
fn write_now(out: c_int, bytes: &[u8]) -> Result<usize, Stop> {
    let (data, length) = (bytes.as_ptr().cast::<c_void>(), bytes.len());
    // SAFETY: `bytes` is live and as long as said.
    let mut result = unsafe { libc::send(out, data, length, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOTSOCK) {
        // SAFETY: as above.
        result = unsafe { libc::write(out, data, length) };
    }
    usize::try_from(result).map_err(|_| match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Stop::Full,
        Some(libc::EPIPE) => Stop::Gone,
        Some(libc::ECONNRESET) => Stop::Reset,
        other => panic!("the socket under the emulated kernel: {other:?}"),
    })
}

fn read_at(file: c_int, buffer: &mut [u8], offset: i64) -> Option<usize> {
    // SAFETY: `buffer` is live, writable and as long as said.
    usize::try_from(unsafe { libc::pread(file, buffer.as_mut_ptr().cast(), buffer.len(), offset) }).ok()
}

fn contents(file: c_int) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size(file)).unwrap()];
    let n = read_at(file, &mut bytes, 0).unwrap();
    bytes.truncate(n);
    bytes
}
