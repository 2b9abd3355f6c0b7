//! The poller, by the `polling` crate (epoll, kqueue, event ports, poll), reduced to what a transfer needs: tell me
//! once when this socket takes bytes again.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;

use polling::{Event, Events, Poller};

/// Waits for sockets to become writable, each told once per [`WritePoller::watch`] or [`WritePoller::watch_again`].
pub struct WritePoller(Poller);

/// Room for the events of one wait. It is small on purpose: a thread that takes many events makes them wait for each
/// other while its siblings idle.
pub struct Ready(Events);

const AT_ONCE: NonZeroUsize = match NonZeroUsize::new(2) {
    Some(n) => n,
    None => NonZeroUsize::MIN,
};

impl Ready {
    /// Empty room.
    #[must_use]
    pub fn new() -> Self {
        Self(Events::with_capacity(AT_ONCE))
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self::new()
    }
}

impl WritePoller {
    /// A poller of its own: on Linux three descriptors.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        Poller::new().map(Self)
    }

    /// Watches a socket for the first time. [`WritePoller::forget`] it before it is closed.
    ///
    /// # Errors
    /// `EPERM` for a regular file, which is always writable; `ENOSPC` and `ENOMEM` when the system is out of watches.
    pub fn watch(&self, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        // SAFETY: the engine keeps the descriptor open until it has called `forget`: its `Watch` does both in its
        // Drop, in that order.
        unsafe { self.0.add(&socket, Event::writable(key)) }
    }

    /// Watches a socket once more.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2), kevent(2) or port_associate(3C).
    pub fn watch_again(&self, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.0.modify(socket, Event::writable(key))
    }

    /// Ends the watch.
    pub fn forget(&self, socket: BorrowedFd<'_>) {
        // An error means that the kernel did not know it: that is what was asked for.
        let _ = self.0.delete(socket);
    }

    /// Waits until at least one watched socket is ready and hands its key to `each`. Only one thread may wait: the
    /// caller holds a lock for that, since the poller itself would return at once and spin.
    ///
    /// # Errors
    /// The errno of the wait.
    pub fn wait(&self, ready: &mut Ready, mut each: impl FnMut(usize)) -> io::Result<()> {
        ready.0.clear();
        self.0.wait(&mut ready.0, None)?;
        for event in ready.0.iter() {
            each(event.key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::{mpsc, Arc};
    use std::thread;

    use super::*;
    use crate::testing::{narrow_pair, read_exactly, Temp, PATIENCE};

    /// A poller and the keys that a thread hears from it. The thread ends with the process.
    fn heard() -> (Arc<WritePoller>, mpsc::Receiver<usize>) {
        let poller = Arc::new(WritePoller::new().unwrap());
        let (tell, told) = mpsc::channel();
        let waiting = Arc::clone(&poller);
        thread::spawn(move || {
            let mut ready = Ready::new();
            loop {
                waiting.wait(&mut ready, |key| tell.send(key).unwrap()).unwrap();
            }
        });
        (poller, told)
    }

    fn fill(mut out: &UnixStream) -> usize {
        let mut total = 0;
        while let Ok(n) = out.write(&[7; 4096]) {
            total += n;
        }
        total
    }

    #[test]
    fn an_empty_socket_is_told_once_for_each_watch() {
        let (poller, told) = heard();
        let ((first, _peer), (second, _other)) = (narrow_pair(), narrow_pair());
        poller.watch(first.as_fd(), 1).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
        // What comes next is the next watch, not the first once more.
        poller.watch(second.as_fd(), 2).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(2));
        poller.watch_again(first.as_fd(), 3).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(3));
        assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty));
    }

    #[test]
    fn a_full_socket_is_told_once_its_peer_has_read() {
        let (poller, told) = heard();
        let ((full, mut peer), (empty, _other)) = (narrow_pair(), narrow_pair());
        let filled = fill(&full);
        poller.watch(full.as_fd(), 1).unwrap();
        poller.watch(empty.as_fd(), 2).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(2));
        read_exactly(&mut peer, filled);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
    }

    #[test]
    fn what_is_forgotten_is_not_told_and_may_be_watched_anew() {
        let (poller, told) = heard();
        let ((full, mut peer), (empty, _other)) = (narrow_pair(), narrow_pair());
        let filled = fill(&full);
        poller.watch(full.as_fd(), 1).unwrap();
        poller.forget(full.as_fd());
        poller.forget(full.as_fd());
        read_exactly(&mut peer, filled);
        poller.watch(empty.as_fd(), 2).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(2));
        poller.watch(full.as_fd(), 3).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(3));
    }

    #[test]
    fn a_peer_that_leaves_is_told() {
        let (poller, told) = heard();
        let (full, mut peer) = narrow_pair();
        fill(&full);
        poller.watch(full.as_fd(), 1).unwrap();
        let _ = peer.read(&mut [0]);
        drop(peer);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_regular_file_cannot_be_watched() {
        let poller = WritePoller::new().unwrap();
        let file = Temp::of(b"").open();
        assert_eq!(poller.watch(file.as_fd(), 1).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}
