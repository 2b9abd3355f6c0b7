//! Signals: SIGPIPE must not end the process, and the threads of the engine must not run anybody's handlers.
//!
//! Node ignores SIGPIPE at start, but after `process.on('SIGPIPE', f)` and `off` its disposition is the default one,
//! and a sendfile to a dead peer ends the process: sendfile(2) has no `MSG_NOSIGNAL`.

use std::cell::Cell;
use std::ptr;

thread_local! {
    /// This thread blocks SIGPIPE for good: its calls need no guard.
    static BLOCKED: Cell<bool> = const { Cell::new(false) };
}

/// Blocks every signal that is not the thread's own fault. For threads that never run foreign code.
pub fn block_all() {
    // SAFETY: an all-zero sigset is valid memory for sigfillset, which sets every bit of it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is live. The faults stay unblocked: blocking them is undefined when they arise.
    unsafe {
        libc::sigfillset(&raw mut set);
        for fault in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGABRT,
            libc::SIGSYS,
        ] {
            libc::sigdelset(&raw mut set, fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut());
    }
    BLOCKED.set(true);
}

/// Runs `call` so that a SIGPIPE which it raises goes nowhere.
///
/// Asking for the disposition costs about a quarter of setting and resetting the mask, and in Node it is nearly
/// always "ignored".
pub fn quietly<T>(call: impl FnOnce() -> T) -> T {
    if BLOCKED.get() || ignored() {
        return call();
    }
    guarded(call)
}

/// As [`quietly`], whatever the disposition is now: for calls that may take so long that it is another one before they
/// end.
pub fn guarded<T>(call: impl FnOnce() -> T) -> T {
    let pipe = only_sigpipe();
    // SAFETY: an all-zero sigset is valid memory for the calls below to write to.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut pending: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: all sets are live.
    let was_pending = unsafe {
        libc::sigpending(&raw mut pending);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const pipe, &raw mut before);
        libc::sigismember(&raw const pending, libc::SIGPIPE) == 1
    };
    let result = call();
    if !was_pending {
        drain(&pipe);
    }
    // SAFETY: `before` was filled by the first pthread_sigmask.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    result
}

/// Takes a pending SIGPIPE, if there is one: nobody else raised it.
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "openbsd",
    target_os = "illumos",
    target_os = "solaris",
    target_os = "aix"
)))]
fn drain(pipe: &libc::sigset_t) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both are live; a null info is allowed.
    unsafe { libc::sigtimedwait(pipe, ptr::null_mut(), &raw const now) };
}

/// macOS and OpenBSD have no sigtimedwait(2), and for the others libc has none: wait for it only when it is pending, so
/// that it cannot block.
#[cfg(any(
    target_vendor = "apple",
    target_os = "openbsd",
    target_os = "illumos",
    target_os = "solaris",
    target_os = "aix"
))]
fn drain(pipe: &libc::sigset_t) {
    // SAFETY: an all-zero sigset is valid memory for sigpending to write to.
    let mut pending: libc::sigset_t = unsafe { std::mem::zeroed() };
    let mut taken = 0;
    // SAFETY: all are live.
    unsafe {
        libc::sigpending(&raw mut pending);
        if libc::sigismember(&raw const pending, libc::SIGPIPE) == 1 {
            libc::sigwait(pipe, &raw mut taken);
        }
    }
}

fn ignored() -> bool {
    // SAFETY: an all-zero sigaction is valid memory for the call to write to.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

fn only_sigpipe() -> libc::sigset_t {
    // SAFETY: an all-zero sigset is valid memory for sigemptyset, which writes all of it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is live.
    unsafe {
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGPIPE);
    }
    set
}

/// Each in a process of its own, since dispositions and masks belong to the process and its threads.
#[cfg(test)]
mod tests {
    use super::super::testing::{
        block_sigpipe, blocks, let_sigpipe_kill, raise_sigpipe, sigpipe_pending, unblock_sigpipe,
    };
    use super::*;
    use crate::testing::alone;

    #[test]
    fn a_sigpipe_that_would_kill_goes_nowhere() {
        alone("sys::signal::tests::a_sigpipe_that_would_kill_goes_nowhere", || {
            let_sigpipe_kill();
            let result = quietly(|| {
                raise_sigpipe();
                assert!(sigpipe_pending());
                7
            });
            assert_eq!(result, 7);
            assert!(!sigpipe_pending());
            assert!(!blocks(libc::SIGPIPE));
        });
    }

    #[test]
    fn a_sigpipe_that_comes_to_kill_while_the_call_goes_on_goes_nowhere() {
        alone("sys::signal::tests::a_sigpipe_that_comes_to_kill_while_the_call_goes_on_goes_nowhere", || {
            // As this process began: it would be looked at once, and is another one by the end of the call.
            assert!(ignored());
            guarded(|| {
                let_sigpipe_kill();
                raise_sigpipe();
            });
            assert!(!sigpipe_pending());
            assert!(!blocks(libc::SIGPIPE));
        });
    }

    #[test]
    fn a_call_that_raises_none_is_not_waited_on() {
        alone("sys::signal::tests::a_call_that_raises_none_is_not_waited_on", || {
            let_sigpipe_kill();
            quietly(|| {});
            assert!(!blocks(libc::SIGPIPE));
        });
    }

    #[test]
    fn a_sigpipe_that_was_pending_before_stays_pending() {
        alone("sys::signal::tests::a_sigpipe_that_was_pending_before_stays_pending", || {
            let_sigpipe_kill();
            block_sigpipe();
            raise_sigpipe();
            quietly(raise_sigpipe);
            assert!(sigpipe_pending());
            assert!(blocks(libc::SIGPIPE));
        });
    }

    #[test]
    fn a_mask_that_blocked_it_before_blocks_it_after() {
        alone("sys::signal::tests::a_mask_that_blocked_it_before_blocks_it_after", || {
            let_sigpipe_kill();
            block_sigpipe();
            quietly(raise_sigpipe);
            assert!(!sigpipe_pending());
            assert!(blocks(libc::SIGPIPE));
            unblock_sigpipe();
        });
    }

    #[test]
    fn where_it_is_ignored_nothing_is_changed() {
        // As this process began.
        assert!(ignored());
        quietly(|| assert!(!blocks(libc::SIGPIPE)));
    }

    #[test]
    fn a_thread_that_blocks_all_takes_no_signal_but_its_own_faults() {
        let thread = std::thread::spawn(|| {
            block_all();
            for signal in [libc::SIGPIPE, libc::SIGUSR1, libc::SIGTERM, libc::SIGALRM, libc::SIGCHLD] {
                assert!(blocks(signal), "{signal}");
            }
            for fault in
                [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGSYS]
            {
                assert!(!blocks(fault), "{fault}");
            }
            quietly(|| {});
            assert!(blocks(libc::SIGPIPE));
        });
        thread.join().unwrap();
    }
}
