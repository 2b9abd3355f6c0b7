//! The files that transfers send from. JS holds each by a number; a running transfer holds it too, so that releasing
//! one never closes a file under a thread.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};

use napi::{Env, Result};
use napi_derive::napi;

use super::args::{answer, borrow, fill, size, Array};
use super::environment::{begin, describe, engine, here, Done};
use crate::sys::open::{self, Source};
use crate::sys::posix;

fn path_of(bytes: &[u8]) -> std::result::Result<CString, i32> {
    CString::new(bytes).map_err(|_| libc::ENOENT)
}

/// Keeps a source and writes id, fd, size (-1: says nothing), local. 0, or an errno.
fn keep(env: &Env, opened: std::result::Result<Source, i32>, report: &mut [f64]) -> Result<f64> {
    match opened {
        Ok(source) => here(env, |environment| {
            let (fd, size, local) = (source.fd.as_raw_fd(), source.size, source.local);
            fill(report, &describe(environment.keep(source), fd, size, local));
            0.0
        }),
        Err(errno) => Ok(answer(Err(errno))),
    }
}

/// Opens a path of a local file system without waiting: `EAGAIN` where that cannot be done.
#[napi]
pub fn open_cached(env: Env, path: &[u8], report: Array<'_>) -> Result<f64> {
    keep(&env, path_of(path).and_then(|path| open::open_cached(&path)), report)
}

/// Opens a path on a thread of the engine. Returns the job's number, or an errno.
#[napi]
pub fn open(env: Env, path: &[u8], done: Done<'_>) -> Result<f64> {
    begin(&env, &done, |environment| {
        engine()?.open(environment.owner, environment.sink.clone(), path_of(path)?)
    })
}

/// Takes a second descriptor of a file that JS has open.
#[napi]
pub fn adopt(env: Env, fd: i32, report: Array<'_>) -> Result<f64> {
    keep(&env, borrow(fd).and_then(open::adopt), report)
}

/// The file's own position, or an errno.
#[napi]
pub fn position(env: Env, source: u32) -> Result<f64> {
    here(&env, |environment| {
        let held = environment.sources.get(&source).ok_or(libc::EBADF);
        answer(held.and_then(|held| posix::position(held.file.as_fd())))
    })
}

/// Moves the file's own position. 0, or an errno.
#[napi]
pub fn seek(env: Env, source: u32, to: f64) -> Result<f64> {
    here(&env, |environment| {
        let held = environment.sources.get(&source).ok_or(libc::EBADF);
        answer(held.and_then(|held| posix::seek(held.file.as_fd(), size(to)?)).map(|()| 0))
    })
}

/// Lets a source go. Its file is closed once no transfer uses it.
#[napi]
pub fn release(env: Env, source: u32) -> Result<()> {
    here(&env, |environment| drop(environment.sources.remove(&source)))
}
