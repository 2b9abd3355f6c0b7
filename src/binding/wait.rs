//! Waiting for a descriptor, and what JS may ask of a job.

use napi::{Env, Result};
use napi_derive::napi;

use super::args::{borrow, fill, number, Array};
use super::environment::{begin, engine, here, Done};
use crate::engine::Cancelled;

/// Calls back once the descriptor takes bytes. Returns the job's number, or an errno.
#[napi(catch_unwind)]
pub fn wait_writable(env: Env, fd: i32, done: Done<'_>) -> Result<f64> {
    begin(&env, &done, |environment| {
        let engine = engine()?;
        let out = engine.hold(borrow(fd)?)?;
        engine.writable(environment.owner, environment.sink.clone(), out)
    })
}

/// Ends a job. Its bytes so far, if it is over now and will not call back; -1 if it is running and will call back, its
/// socket shut down if that was asked for; -2 if it was over before, and has called back or will.
#[napi(catch_unwind)]
pub fn cancel(env: Env, id: f64, hang_up: bool) -> Result<f64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // our own number
    let id = id as usize;
    let Ok(engine) = engine() else { return Ok(-2.0) };
    match engine.cancel(id, hang_up) {
        Cancelled::Now(sent) => {
            here(&env, |environment| environment.forget(&env, id))??;
            Ok(number(sent))
        }
        Cancelled::Soon => Ok(-1.0),
        Cancelled::Unknown => Ok(-2.0),
    }
}

/// Writes a job's bytes so far, the milliseconds since the last of them, and how often it has waited. `false`: it is
/// over.
#[napi(catch_unwind)]
pub fn progress(id: f64, report: Array<'_>) -> bool {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // our own number
    let id = id as usize;
    let Some(progress) = engine().ok().and_then(|engine| engine.progress(id)) else {
        return false;
    };
    fill(report, &[number(progress.sent), number(progress.idle_ms), f64::from(progress.waits)]);
    true
}
