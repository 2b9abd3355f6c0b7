//! The call: one attempt on the calling thread, or one on libuv's pool.

use std::os::fd::{AsFd, OwnedFd};

use napi::bindgen_prelude::{AsyncTask, BigInt, Either};
use napi::{Env, Result, Task};
use napi_derive::napi;

use super::args::{answer, borrow, whole};
use crate::attempt::{attempt, Request};
use crate::sys::posix::{check_open, duplicate};
use crate::sys::{signal, Native};

/// One attempt, now, on the caller's thread.
#[napi(catch_unwind)]
pub fn sendfile_sync(
    out: i32,
    input: i32,
    offset: Either<f64, BigInt>,
    nbytes: Either<f64, BigInt>,
    headers: Vec<&[u8]>,
    trailers: Vec<&[u8]>,
    flags: i32,
) -> f64 {
    let now = || {
        let (out, input) = (borrow(out)?, borrow(input)?);
        let (offset, nbytes) = (whole(offset)?, whole(nbytes)?);
        let request = Request {
            out,
            input,
            offset,
            nbytes,
            headers: &headers,
            trailers: &trailers,
            flags,
            sized: false,
        };
        attempt(&Native, &request).result()
    };
    answer(now())
}

/// What an asynchronous attempt needs of its own: JS may close both descriptors and change every buffer as soon as the
/// call has returned.
pub struct Owned {
    out: OwnedFd,
    input: OwnedFd,
    offset: Option<u64>,
    nbytes: Option<u64>,
    headers: Vec<u8>,
    trailers: Vec<u8>,
    flags: i32,
}

/// An attempt on the pool, or the errno by which it cannot be made.
pub struct Attempt(std::result::Result<Owned, i32>);

impl Task for Attempt {
    type Output = f64;
    type JsValue = f64;

    fn compute(&mut self) -> Result<f64> {
        // Its descriptors are closed here, on the pool: closing may wait for a server.
        let owned = std::mem::replace(&mut self.0, Err(libc::ECANCELED));
        Ok(answer(owned.and_then(|owned| {
            let request = Request {
                out: owned.out.as_fd(),
                input: owned.input.as_fd(),
                offset: owned.offset,
                nbytes: owned.nbytes,
                headers: &[&owned.headers],
                trailers: &[&owned.trailers],
                flags: owned.flags,
                sized: false,
            };
            // It may wait, and whoever lets SIGPIPE kill meanwhile does not mean this call.
            signal::guarded(|| attempt(&Native, &request)).result()
        })))
    }

    fn resolve(&mut self, _: Env, answer: f64) -> Result<f64> {
        Ok(answer)
    }
}

/// One attempt on libuv's pool. Resolves with what `sendfile_sync` returns.
#[napi(catch_unwind)]
pub fn sendfile(
    out: i32,
    input: i32,
    offset: Either<f64, BigInt>,
    nbytes: Either<f64, BigInt>,
    headers: Vec<&[u8]>,
    trailers: Vec<&[u8]>,
    flags: i32,
) -> AsyncTask<Attempt> {
    let own = || {
        let (offset, nbytes) = (whole(offset)?, whole(nbytes)?);
        let (out, input) = (borrow(out)?, borrow(input)?);
        // A duplicate takes the lowest free number, which a closed one is: both have to be open before the first is
        // made, or the second would be a duplicate of the first.
        check_open(out)?;
        check_open(input)?;
        Ok(Owned {
            out: duplicate(out)?,
            input: duplicate(input)?,
            offset,
            nbytes,
            headers: headers.concat(),
            trailers: trailers.concat(),
            flags,
        })
    };
    AsyncTask::new(Attempt(own()))
}
