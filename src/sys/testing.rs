//! What tests need of the operating system and the standard library does not give.

/// Tests of what only Linux does: `cfg(target_os)` stays in this folder.
macro_rules! on_linux {
    ($($item:item)*) => { $(#[cfg(target_os = "linux")] $item)* };
}
pub(crate) use on_linux;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

fn checked(result: libc::c_int) -> libc::c_int {
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result
}

/// A socket option that is a number.
pub fn option(socket: &impl AsFd, level: i32, name: i32) -> i32 {
    let mut value: libc::c_int = 0;
    let mut size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap();
    // SAFETY: `value` and `size` are live, and `size` says how large `value` is.
    checked(unsafe {
        libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut size)
    });
    value
}

/// Sets a socket option that is a number.
pub fn set_option(socket: &impl AsFd, level: i32, name: i32, value: i32) {
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap();
    // SAFETY: `value` is live and as large as said.
    checked(unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), size)
    });
}

/// Makes a socket's buffers as small as the kernel lets them be, about 4 KiB.
pub fn shrink_buffers(socket: &impl AsFd) {
    for name in [libc::SO_SNDBUF, libc::SO_RCVBUF] {
        set_option(socket, libc::SOL_SOCKET, name, 1);
    }
}

/// Bytes that a TCP socket holds back, not yet on the wire.
#[cfg(target_os = "linux")]
pub fn held_back(socket: &impl AsFd) -> i32 {
    const SIOCOUTQNSD: libc::c_ulong = 0x894b;
    let mut unsent: libc::c_int = 0;
    // SAFETY: this request writes one int, and `unsent` is one.
    checked(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SIOCOUTQNSD as _, &raw mut unsent) });
    unsent
}

/// Waits until the descriptor takes bytes; half a minute without is a failed test.
pub fn wait_writable(out: &impl AsFd) {
    let mut poll = libc::pollfd { fd: out.as_fd().as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    loop {
        // SAFETY: `poll` is live and is one entry.
        match unsafe { libc::poll(&raw mut poll, 1, 30_000) } {
            1 => return,
            0 => panic!("the socket has been full for half a minute"),
            _ => assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::Interrupted),
        }
    }
}

/// Does the descriptor take bytes now, or has it an error to tell?
pub fn is_writable(out: &impl AsFd) -> bool {
    let mut poll = libc::pollfd { fd: out.as_fd().as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: `poll` is live and is one entry; no time to wait.
    checked(unsafe { libc::poll(&raw mut poll, 1, 0) }) == 1
}

/// Asks the kernel to forget a file's pages.
#[cfg(target_os = "linux")]
pub fn drop_from_cache(file: &File) {
    file.sync_all().unwrap();
    // SAFETY: takes no memory.
    checked(unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) });
}

/// Makes a FIFO.
pub fn fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: `path` is a live C string.
    checked(unsafe { libc::mkfifo(path.as_ptr(), 0o600) });
}

/// Is the descriptor closed by exec?
pub fn closes_on_exec(fd: &impl AsFd) -> bool {
    // SAFETY: takes no memory.
    checked(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFD) }) & libc::FD_CLOEXEC != 0
}

/// Gives SIGPIPE its default action, which is to end the process: for tests in a process of their own.
pub fn let_sigpipe_kill() {
    // SAFETY: takes no memory; SIG_DFL runs no code of ours.
    assert_ne!(unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) }, libc::SIG_ERR);
}

/// Sends SIGPIPE to the calling thread.
pub fn raise_sigpipe() {
    // SAFETY: takes no memory.
    checked(unsafe { libc::raise(libc::SIGPIPE) });
}

/// Keeps SIGPIPE from the calling thread: it stays pending.
pub fn block_sigpipe() {
    change_sigpipe(libc::SIG_BLOCK);
}

/// Lets SIGPIPE through: a pending one arrives before this returns.
pub fn unblock_sigpipe() {
    change_sigpipe(libc::SIG_UNBLOCK);
}

fn change_sigpipe(how: libc::c_int) {
    let set = sigpipe();
    // SAFETY: `set` is live; a null old mask is allowed.
    assert_eq!(unsafe { libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()) }, 0);
}

fn sigpipe() -> libc::sigset_t {
    // SAFETY: an all-zero sigset is valid memory for sigemptyset, which writes all of it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is live.
    unsafe {
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGPIPE);
    }
    set
}

/// Does the calling thread block this signal?
pub fn blocks(signal: libc::c_int) -> bool {
    // SAFETY: an all-zero sigset is valid memory for the call below to write to.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a null new mask only asks.
    assert_eq!(unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) }, 0);
    // SAFETY: `set` was just filled.
    unsafe { libc::sigismember(&raw const set, signal) == 1 }
}

/// Is a SIGPIPE pending?
pub fn sigpipe_pending() -> bool {
    // SAFETY: an all-zero sigset is valid memory for sigpending to write to.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is live.
    checked(unsafe { libc::sigpending(&raw mut set) });
    // SAFETY: `set` was just filled.
    unsafe { libc::sigismember(&raw const set, libc::SIGPIPE) == 1 }
}

/// Signals to the thread that made it, one after the other, none of which restarts a call: until it is dropped, on
/// the same thread.
pub struct Storm {
    over: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
    stays_here: PhantomData<*const ()>,
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::SeqCst);
}

impl Storm {
    /// Starts it.
    pub fn here() -> Self {
        // SAFETY: an all-zero sigaction is a valid value: no flags, so no SA_RESTART.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int) = count_signal;
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: `action` is live, and its handler does nothing but add to an atomic.
        checked(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) });
        // SAFETY: takes no memory.
        let target = unsafe { libc::pthread_self() };
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let sender = thread::spawn(move || {
            while !seen.load(Ordering::SeqCst) {
                // SAFETY: the target lives: it waits for this thread before it lets the storm go.
                unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                thread::sleep(Duration::from_micros(200));
            }
        });
        Self { over, sender: Some(sender), stays_here: PhantomData }
    }

    /// Signals that have arrived so far, in the whole process.
    pub fn arrived() -> u64 {
        SIGNALS.load(Ordering::SeqCst)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.sender.take().map(JoinHandle::join);
    }
}
