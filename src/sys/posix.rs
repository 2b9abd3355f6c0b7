//! The ordinary POSIX calls that stand around sendfile: the same on every Unix, apart from three constants.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{signal, Outcome};

/// The most buffers that one sendmsg(2) or writev(2) takes. POSIX promises 16; every system here takes 1024.
pub const IOV_MAX: usize = 1024;

/// Do not raise SIGPIPE. Where the flag is missing, `signal::quietly` does the same.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGPIPE: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGPIPE: libc::c_int = 0;

/// [`send`] raises no SIGPIPE.
pub const SENDS_QUIETLY: bool = NO_SIGPIPE != 0;

/// More follows at once: keep a part-filled segment back for it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MORE: libc::c_int = libc::MSG_MORE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MORE: libc::c_int = 0;

/// The calls whose sizes and offsets have 64 bits: on 32-bit Linux and Android the plain ones stop at 2 GiB, where musl
/// has but one kind.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_env = "musl", target_env = "ohos"))
))]
pub(super) mod large {
    pub use libc::{
        fstat64 as fstat, lseek64 as lseek, off64_t as off_t, open64 as open, pread64 as pread,
        stat64 as stat,
    };
}
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_env = "musl", target_env = "ohos"))
)))]
pub(super) mod large {
    pub use libc::{fstat, lseek, off_t, open, pread, stat};
}

/// The calling thread's errno. Read it straight after the call: anything in between may change it.
#[must_use]
pub fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// A call's result as count and errno.
fn outcome(result: isize) -> Outcome {
    match u64::try_from(result) {
        Ok(sent) => Outcome::sent(sent),
        Err(_) => Outcome::failed(errno()),
    }
}

/// A call's result as success or errno.
fn checked(result: libc::c_int) -> Result<libc::c_int, i32> {
    if result < 0 {
        Err(errno())
    } else {
        Ok(result)
    }
}

/// Sends buffers by sendmsg(2), or by writev(2) where `out` is no socket.
pub fn send(out: BorrowedFd<'_>, buffers: &[&[u8]], more: bool) -> Outcome {
    // A handful of buffers is the rule: they need no heap.
    let mut few = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; 8];
    let many: Vec<libc::iovec>;
    let vector: &[libc::iovec] = if buffers.len() <= few.len() {
        for (slot, buffer) in few.iter_mut().zip(buffers) {
            *slot = iovec(buffer);
        }
        &few[..buffers.len()]
    } else {
        many = buffers.iter().take(IOV_MAX).map(|buffer| iovec(buffer)).collect();
        &many
    };
    // SAFETY: an all-zero msghdr is a valid value: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vector.as_ptr().cast_mut();
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // 1024; its type differs by system
    {
        message.msg_iovlen = vector.len().min(IOV_MAX) as _;
    }
    let flags = NO_SIGPIPE | if more { MORE } else { 0 };
    // SAFETY: `message` points at `vector`, whose entries point at the live slices of `buffers`; the kernel only
    // reads them. `out` is open for the length of the borrow.
    let result = outcome(unsafe { libc::sendmsg(out.as_raw_fd(), &raw const message, flags) });
    if result.errno != libc::ENOTSOCK {
        return result;
    }
    let count = libc::c_int::try_from(vector.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: as above.
    let write = || outcome(unsafe { libc::writev(out.as_raw_fd(), vector.as_ptr(), count) });
    // writev(2) has no such flag.
    if SENDS_QUIETLY {
        signal::quietly(write)
    } else {
        write()
    }
}

fn iovec(buffer: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: buffer.as_ptr().cast_mut().cast(), iov_len: buffer.len() }
}

/// Pushes out a segment that `MSG_MORE` holds back: on Linux it would wait 200 ms.
///
/// Setting `TCP_CORK` to 0 pushes it at once; a socket that its owner has corked is left as it is.
pub fn flush(out: BorrowedFd<'_>) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut corked: libc::c_int = 1;
        let mut size = SOCKOPT_SIZE;
        let fd = out.as_raw_fd();
        // SAFETY: `corked` and `size` are live, and `size` says how large `corked` is.
        let read = unsafe {
            libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_CORK, (&raw mut corked).cast(), &raw mut size)
        };
        if read == 0 && corked == 0 {
            // SAFETY: `corked` is live and SOCKOPT_SIZE is its size.
            unsafe {
                libc::setsockopt(
                    fd,
                    libc::IPPROTO_TCP,
                    libc::TCP_CORK,
                    (&raw const corked).cast(),
                    SOCKOPT_SIZE,
                );
            }
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = out;
}

#[allow(clippy::cast_possible_truncation)] // 4
const SOCKOPT_SIZE: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

/// Is this a connected or connectable byte stream: a socket of type `SOCK_STREAM`?
#[must_use]
pub fn is_stream_socket(fd: BorrowedFd<'_>) -> bool {
    let mut kind: libc::c_int = 0;
    let mut size = SOCKOPT_SIZE;
    // SAFETY: `kind` and `size` are live, and `size` says how large `kind` is.
    let read = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind).cast(),
            &raw mut size,
        )
    };
    read == 0 && kind == libc::SOCK_STREAM
}

/// Ends a socket in both directions, for every descriptor of it: the peer sees the end at once and a call that is
/// running on it returns.
pub fn shutdown(fd: BorrowedFd<'_>) {
    // SAFETY: takes no memory; a descriptor that is no socket is only an error.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) };
}

/// A second descriptor for the same open file, close-on-exec.
///
/// # Errors
/// `EBADF`; `EMFILE` when the process has no descriptor left.
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, i32> {
    // SAFETY: takes no memory; a closed descriptor is only EBADF.
    let copy = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel has just made `copy` and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Is the descriptor open at all?
///
/// # Errors
/// `EBADF`.
pub fn check_open(fd: BorrowedFd<'_>) -> Result<(), i32> {
    access_mode(fd).map(drop)
}

/// What fstat(2) says, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The file's size in bytes.
    pub size: u64,
    /// What kind of file it is.
    pub kind: Kind,
}

/// The kinds of file that a source can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory: there is nothing to send.
    Directory,
    /// A pipe, a socket, a device.
    Other,
}

impl Kind {
    pub(super) fn of_mode(mode: u32) -> Self {
        // mode_t has 16 or 32 bits, by system.
        #[allow(clippy::useless_conversion)]
        let (mask, regular, directory) =
            (u32::from(libc::S_IFMT), u32::from(libc::S_IFREG), u32::from(libc::S_IFDIR));
        match mode & mask {
            kind if kind == regular => Self::Regular,
            kind if kind == directory => Self::Directory,
            _ => Self::Other,
        }
    }
}

/// fstat(2).
///
/// # Errors
/// The call's errno.
pub fn status(fd: BorrowedFd<'_>) -> Result<Status, i32> {
    // SAFETY: an all-zero stat is a valid value: it holds only numbers.
    let mut stat: large::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is live and of the size that the call writes.
    checked(unsafe { large::fstat(fd.as_raw_fd(), &raw mut stat) })?;
    #[allow(clippy::useless_conversion)]
    let mode = u32::from(stat.st_mode);
    Ok(Status { size: u64::try_from(stat.st_size).unwrap_or(0), kind: Kind::of_mode(mode) })
}

/// The size of a regular file, `None` where the size says nothing.
///
/// On Linux the files of /proc and /sys are regular, report 0 and have content all the same: a size of 0 is no
/// knowledge there.
///
/// # Errors
/// The errno of fstat(2); `EINVAL` for a directory.
pub fn size(fd: BorrowedFd<'_>) -> Result<Option<u64>, i32> {
    let status = status(fd)?;
    if status.kind == Kind::Directory {
        return Err(libc::EINVAL);
    }
    let zero_tells = !cfg!(any(target_os = "linux", target_os = "android"));
    Ok((status.kind == Kind::Regular && (zero_tells || status.size > 0)).then_some(status.size))
}

/// The file's own position: lseek(2).
///
/// # Errors
/// `ESPIPE` for a pipe or socket.
pub fn position(fd: BorrowedFd<'_>) -> Result<u64, i32> {
    // SAFETY: takes no memory.
    u64::try_from(unsafe { large::lseek(fd.as_raw_fd(), 0, libc::SEEK_CUR) }).map_err(|_| errno())
}

/// Moves the file's own position: lseek(2).
///
/// # Errors
/// `ESPIPE`, `EINVAL`.
pub fn seek(fd: BorrowedFd<'_>, position: u64) -> Result<(), i32> {
    let position = large::off_t::try_from(position).map_err(|_| libc::EINVAL)?;
    // SAFETY: takes no memory.
    u64::try_from(unsafe { large::lseek(fd.as_raw_fd(), position, libc::SEEK_SET) })
        .map(drop)
        .map_err(|_| errno())
}

/// pread(2): reads at `offset` and leaves the position alone.
pub fn pread(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Outcome {
    let Ok(offset) = large::off_t::try_from(offset) else {
        return Outcome::failed(libc::EINVAL);
    };
    // SAFETY: `buffer` is live, writable and as long as said.
    outcome(unsafe { large::pread(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), offset) })
}

/// read(2): reads from the descriptor's own position and moves it, or from what has none.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Outcome {
    // SAFETY: `buffer` is live, writable and as long as said.
    outcome(unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// What the kernel would find out at the first byte of the file: for calls that send none, or others before it.
///
/// # Errors
/// `EBADF` for a descriptor that is closed, or open the wrong way; `EINVAL` on Linux for an output in append mode.
pub fn check_modes(out: BorrowedFd<'_>, input: BorrowedFd<'_>) -> Result<(), i32> {
    check_readable(input)?;
    let flags = flags(out)?;
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        return Err(libc::EBADF);
    }
    let append = cfg!(any(target_os = "linux", target_os = "android")) && flags & libc::O_APPEND != 0;
    if append {
        return Err(libc::EINVAL);
    }
    Ok(())
}

/// Is the descriptor open for reading?
///
/// # Errors
/// `EBADF` for one that is closed or write-only.
pub fn check_readable(fd: BorrowedFd<'_>) -> Result<(), i32> {
    if access_mode(fd)? == libc::O_WRONLY {
        return Err(libc::EBADF);
    }
    Ok(())
}

fn access_mode(fd: BorrowedFd<'_>) -> Result<libc::c_int, i32> {
    Ok(flags(fd)? & libc::O_ACCMODE)
}

fn flags(fd: BorrowedFd<'_>) -> Result<libc::c_int, i32> {
    // SAFETY: takes no memory; a closed descriptor is only EBADF.
    checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::super::testing::closes_on_exec;
    use super::*;
    use crate::testing::{narrow_pair, pattern, Temp, PATIENCE};

    #[test]
    fn buffers_go_to_a_socket_in_order() {
        let (out, mut peer) = UnixStream::pair().unwrap();
        assert_eq!(send(out.as_fd(), &[b"one", b"two", b"three"], false), Outcome::sent(11));
        drop(out);
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwothree");
    }

    #[test]
    fn no_more_than_1024_buffers_go_at_once_to_sockets_and_pipes() {
        let bytes = pattern(1500, 1);
        let buffers: Vec<&[u8]> = bytes.chunks(1).collect();
        let (socket, _peer) = UnixStream::pair().unwrap();
        let (_reader, pipe) = io::pipe().unwrap();
        assert_eq!(send(socket.as_fd(), &buffers, false), Outcome::sent(1024));
        assert_eq!(send(pipe.as_fd(), &buffers, false), Outcome::sent(1024));
    }

    #[test]
    fn a_full_socket_is_eagain() {
        let (out, _peer) = narrow_pair();
        while send(out.as_fd(), &[&[0; 4096]], false).errno == 0 {}
        assert_eq!(send(out.as_fd(), &[&[0; 4096]], false), Outcome::failed(libc::EAGAIN));
    }

    #[cfg(target_os = "linux")]
    mod promises {
        use super::super::super::testing::{held_back, option, set_option};
        use super::*;
        use crate::testing::tcp_pair;

        #[test]
        fn a_promise_of_more_holds_bytes_back_and_flush_sends_them() {
            let (out, _peer) = tcp_pair();
            // The kernel waits 200 ms for what was promised: a machine that is busy for so long proves nothing.
            let held = (0..10).any(|_| {
                send(out.as_fd(), &[b"head"], true);
                let held = held_back(&out) > 0;
                flush(out.as_fd());
                assert_eq!(held_back(&out), 0);
                held
            });
            assert!(held);
        }

        #[test]
        fn without_a_promise_nothing_is_held_back() {
            let (out, _peer) = tcp_pair();
            send(out.as_fd(), &[b"head"], false);
            assert_eq!(held_back(&out), 0);
        }

        #[test]
        fn flush_leaves_a_socket_corked_that_its_owner_corked() {
            let (out, _peer) = tcp_pair();
            set_option(&out, libc::IPPROTO_TCP, libc::TCP_CORK, 1);
            flush(out.as_fd());
            assert_eq!(option(&out, libc::IPPROTO_TCP, libc::TCP_CORK), 1);
        }

        #[test]
        fn flush_does_nothing_to_what_is_no_tcp_socket() {
            flush(UnixStream::pair().unwrap().0.as_fd());
            flush(File::open("/dev/null").unwrap().as_fd());
        }
    }

    #[test]
    fn only_byte_streams_are_stream_sockets() {
        assert!(is_stream_socket(UnixStream::pair().unwrap().0.as_fd()));
        assert!(is_stream_socket(TcpListener::bind("127.0.0.1:0").unwrap().as_fd()));
        assert!(!is_stream_socket(UnixDatagram::pair().unwrap().0.as_fd()));
        assert!(!is_stream_socket(UdpSocket::bind("127.0.0.1:0").unwrap().as_fd()));
        assert!(!is_stream_socket(File::open("/dev/null").unwrap().as_fd()));
        assert!(!is_stream_socket(io::pipe().unwrap().1.as_fd()));
    }

    #[test]
    fn shutdown_ends_a_socket_for_every_descriptor_of_it() {
        let (out, mut peer) = UnixStream::pair().unwrap();
        let held = duplicate(out.as_fd()).unwrap();
        out.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        shutdown(held.as_fd());
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        assert_eq!((&out).read(&mut [0]).unwrap(), 0);
        shutdown(File::open("/dev/null").unwrap().as_fd());
    }

    #[test]
    fn a_duplicate_is_the_same_file_and_closes_on_exec() {
        let temp = Temp::of(b"0123456789");
        let file = temp.open();
        let copy = duplicate(file.as_fd()).unwrap();
        assert!(closes_on_exec(&copy));
        assert!(copy.as_raw_fd() >= 3 && copy.as_raw_fd() != file.as_raw_fd());
        seek(copy.as_fd(), 7).unwrap();
        assert_eq!(position(file.as_fd()), Ok(7));
    }

    #[test]
    fn the_mode_of_each_descriptor_is_checked() {
        let temp = Temp::of(b"0123456789");
        let read = temp.open();
        let write = File::options().write(true).open(temp.path()).unwrap();
        let both = File::options().read(true).write(true).open(temp.path()).unwrap();
        for (out, input, wanted) in [
            (&write, &read, Ok(())),
            (&both, &both, Ok(())),
            (&read, &read, Err(libc::EBADF)),
            (&write, &write, Err(libc::EBADF)),
            (&read, &write, Err(libc::EBADF)),
        ] {
            assert_eq!(check_modes(out.as_fd(), input.as_fd()), wanted);
        }
    }

    #[test]
    fn only_a_regular_file_has_a_size() {
        assert_eq!(size(Temp::of(b"0123456789").open().as_fd()), Ok(Some(10)));
        assert_eq!(size(File::open("/dev/null").unwrap().as_fd()), Ok(None));
        assert_eq!(size(File::open("/").unwrap().as_fd()), Err(libc::EINVAL));
        assert_eq!(size(io::pipe().unwrap().0.as_fd()), Ok(None));
        assert_eq!(status(File::open("/").unwrap().as_fd()).unwrap().kind, Kind::Directory);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_size_of_zero_tells_nothing() {
        assert_eq!(size(Temp::of(b"").open().as_fd()), Ok(None));
        assert_eq!(size(File::open("/proc/version").unwrap().as_fd()), Ok(None));
    }

    #[test]
    fn a_pipe_has_no_position() {
        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(position(reader.as_fd()), Err(libc::ESPIPE));
        assert_eq!(seek(reader.as_fd(), 0), Err(libc::ESPIPE));
    }

    #[test]
    fn a_place_beyond_all_files_is_einval() {
        let file = Temp::of(b"0123456789").open();
        assert_eq!(seek(file.as_fd(), u64::MAX), Err(libc::EINVAL));
        assert_eq!(pread(file.as_fd(), &mut [0], u64::MAX), Outcome::failed(libc::EINVAL));
    }

    #[test]
    fn reading_leaves_the_position_alone() {
        let file = Temp::of(b"0123456789").open();
        let mut buffer = [0; 4];
        assert_eq!(pread(file.as_fd(), &mut buffer, 8), Outcome::sent(2));
        assert_eq!(&buffer, b"89\0\0");
        assert_eq!(position(file.as_fd()), Ok(0));
        assert_eq!(pread(file.as_fd(), &mut buffer, 10), Outcome::sent(0));
    }

    #[test]
    fn reading_without_a_place_moves_the_position() {
        let file = Temp::of(b"0123456789").open();
        let mut buffer = [0; 8];
        assert_eq!(read(file.as_fd(), &mut buffer), Outcome::sent(8));
        assert_eq!(&buffer, b"01234567");
        assert_eq!(position(file.as_fd()), Ok(8));
        assert_eq!(read(file.as_fd(), &mut buffer), Outcome::sent(2));
        assert_eq!(read(file.as_fd(), &mut buffer), Outcome::sent(0));
    }
}
