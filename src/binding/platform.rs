//! What this build and this kernel can do.

use std::collections::HashMap;

use napi_derive::napi;

use super::args::answer;
use super::environment::engine;
use crate::sys::{Kernel, Native};

/// Makes the engine's poller. 0, or the errno by which it cannot be had yet: it is tried again when it is needed.
#[napi(catch_unwind)]
pub fn init() -> f64 {
    answer(engine().map(|_| 0))
}

/// The system call behind sendfile here; null where there is none.
#[napi(catch_unwind)]
pub fn syscall() -> Option<&'static str> {
    Native::SYSCALL
}

/// The flags that this kernel takes, by name.
#[napi(catch_unwind)]
pub fn constants() -> HashMap<String, i32> {
    Native::CONSTANTS.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
}
