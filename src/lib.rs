//! sendfile(2) for Node: the call and the transfer.
//!
//! ```text
//! binding   napi: JS values <-> Rust values. Nothing else
//!    |
//! engine    waits for writable sockets, runs transfers on its own threads
//!    |
//! transfer  one transfer as a state machine: step(budget) -> Again | Wait | Done | Failed
//!    |
//! attempt   one attempt: headers, file, trailers; clamp, accounting, EINTR, SIGPIPE
//!    |
//! sys       the boundary: one file per OS, one kernel call each
//! ```
//!
//! The crate builds and is tested without Node: napi sits behind the default feature `binding`.

#[cfg(all(feature = "binding", not(test)))]
mod binding;

pub mod attempt;
pub mod engine;
pub mod sys;
pub mod transfer;

#[cfg(test)]
mod kernels;
#[cfg(test)]
mod scripted;
#[cfg(test)]
#[cfg_attr(shuttle, allow(dead_code))]
mod testing;
