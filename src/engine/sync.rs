//! What the engine's threads meet at: locks, the poller, and threads themselves. Under `cfg(shuttle)` a scheduler that
//! tests steer has them all, see `schedules.rs`.

#[cfg(not(shuttle))]
pub use std::{
    sync::{
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
        Condvar, Mutex, MutexGuard,
    },
    thread,
};

#[cfg(not(shuttle))]
pub use crate::sys::poll::{Ready, WritePoller};

#[cfg(shuttle)]
pub use super::schedules::{thread, Condvar, Ready, WritePoller};
#[cfg(shuttle)]
pub use shuttle::sync::{
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    Mutex, MutexGuard,
};
