//! The files that transfers send from. JS holds each by a number; a running transfer holds it too, so that releasing
//! one never closes a file under a thread.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, Buffer, Either};
use napi::{Env, Result, Task};
use napi_derive::napi;

use super::args::{answer, borrow, fill, size, Array};
use super::environment::{begin, describe, engine, here, Done, Environment, Held};
use crate::sys::open::{self, Source};
use crate::sys::posix;

fn path_of(bytes: &[u8]) -> std::result::Result<CString, i32> {
    CString::new(bytes).map_err(|_| libc::ENOENT)
}

/// Keeps a source and writes id, fd, size (-1: says nothing), local, rooted. 0, or an errno.
fn keep(env: &Env, opened: std::result::Result<Source, i32>, report: &mut [f64]) -> Result<f64> {
    match opened {
        Ok(source) => here(env, |environment| {
            fill(report, &describe(environment, source));
            0.0
        }),
        Err(errno) => Ok(answer(Err(errno))),
    }
}

/// Opens a path of a local file system without waiting: `EAGAIN` where that cannot be done. `rooted` as [`open`] has
/// said it of this path: `EXDEV` where that is no longer so.
#[napi(catch_unwind)]
pub fn open_cached(env: Env, path: &[u8], rooted: bool, report: Array<'_>) -> Result<f64> {
    let open = if rooted { open::open_rooted } else { open::open_cached };
    keep(&env, path_of(path).and_then(|path| open(&path)), report)
}

/// Opens a path on a thread of the engine. Returns the job's number, or an errno.
#[napi(catch_unwind)]
pub fn open(env: Env, path: &[u8], done: Done<'_>) -> Result<f64> {
    begin(&env, &done, |environment| {
        engine()?.open(environment.owner, environment.sink.clone(), path_of(path)?)
    })
}

/// Takes a second descriptor of a file that JS has open.
#[napi(catch_unwind)]
pub fn adopt(env: Env, fd: i32, report: Array<'_>) -> Result<f64> {
    keep(&env, borrow(fd).and_then(open::adopt), report)
}

/// A read on the pool.
pub struct Reading {
    file: Arc<OwnedFd>,
    length: usize,
    place: Option<u64>,
}

impl Task for Reading {
    type Output = std::result::Result<Vec<u8>, i32>;
    type JsValue = Either<Buffer, f64>;

    fn compute(&mut self) -> Result<Self::Output> {
        // Not into JS's memory: whether that outlives this thread is for each runtime to say.
        let mut buffer = vec![0; self.length];
        let outcome = match self.place {
            Some(place) => posix::pread(self.file.as_fd(), &mut buffer, place),
            None => posix::read(self.file.as_fd(), &mut buffer),
        };
        if outcome.errno != 0 {
            return Ok(Err(outcome.errno));
        }
        buffer.truncate(usize::try_from(outcome.sent).unwrap_or(0));
        Ok(Ok(buffer))
    }

    fn resolve(&mut self, _: Env, read: Self::Output) -> Result<Self::JsValue> {
        Ok(match read {
            Ok(bytes) => Either::A(bytes.into()),
            Err(errno) => Either::B(answer(Err(errno))),
        })
    }
}

/// Reads from a source on libuv's pool, for where `fs` cannot: at `place`, or NaN: from its own position. Resolves with
/// the bytes, none at the end, or an errno.
#[napi(catch_unwind)]
pub fn read(env: Env, source: u32, length: u32, place: f64) -> Result<Either<AsyncTask<Reading>, f64>> {
    here(&env, |environment| {
        let place = if place.is_nan() { Ok(None) } else { size(place).map(Some) };
        let held = environment.sources.get(&source).ok_or(libc::EBADF);
        match (held, place) {
            (Ok(held), Ok(place)) => {
                let file = Arc::clone(&held.file);
                Either::A(AsyncTask::new(Reading { file, length: length as usize, place }))
            }
            (Err(errno), _) | (_, Err(errno)) => Either::B(answer(Err(errno))),
        }
    })
}

/// The file's own position, or an errno.
#[napi(catch_unwind)]
pub fn position(env: Env, source: u32) -> Result<f64> {
    here(&env, |environment| {
        let held = environment.sources.get(&source).ok_or(libc::EBADF);
        answer(held.and_then(|held| posix::position(held.file.as_fd())))
    })
}

/// Moves the file's own position. 0, or an errno.
#[napi(catch_unwind)]
pub fn seek(env: Env, source: u32, to: f64) -> Result<f64> {
    here(&env, |environment| {
        let held = environment.sources.get(&source).ok_or(libc::EBADF);
        answer(held.and_then(|held| posix::seek(held.file.as_fd(), size(to)?)).map(|()| 0))
    })
}

/// Lets a source go. Its file is closed once no transfer uses it: on this thread only if that asks nobody.
#[napi(catch_unwind)]
pub fn release(env: Env, source: u32) -> Result<()> {
    here(&env, |environment| forget(environment, source))
}

/// Closes it where nobody has to be waited for, or leaves that to the engine.
pub fn forget(environment: &mut Environment, source: u32) {
    if let Some(Held { file, local: false }) = environment.sources.remove(&source) {
        if let Ok(engine) = engine() {
            engine.close(file);
        }
    }
}
