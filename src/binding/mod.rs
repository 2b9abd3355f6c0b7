//! The Node-API layer: JS values <-> Rust values, and nothing else.
//!
//! Only numbers and bytes cross. A number below 0 that comes back is an errno, negated as in Node. JS has checked every
//! argument; promises and errors are made there.
//!
//! | export | file |
//! |---|---|
//! | `init`, `syscall`, `constants` | `platform.rs` |
//! | `sendfileSync`, `sendfile` | `call.rs` |
//! | `waitWritable`, `cancel`, `progress` | `wait.rs` |
//! | `openCached`, `open`, `adopt`, `read`, `position`, `seek`, `release` | `source.rs` |
//! | `isStreamSocket`, `transfer` | `transfer.rs` |
//! | `allocated`, `refuse`: only with the feature `probes`, for tests | `probes.rs` |

mod args;
mod call;
mod environment;
mod platform;
#[cfg(feature = "probes")]
mod probes;
mod source;
mod transfer;
mod wait;
