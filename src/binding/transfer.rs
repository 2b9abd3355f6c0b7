//! Starting a transfer: at once on this thread if nothing has to be waited for, else on the engine's.

use std::os::fd::AsFd;
use std::sync::Arc;

use napi::{Env, JsString, Result};
use napi_derive::napi;

use super::args::{borrow, fill, number, size, Array};
use super::environment::{engine, here, numbers, Done, Environment, FAILED, REFUSED};
use super::source::forget;
use crate::engine::{Begin, End, Report};
use crate::sys::{posix, Kernel, Native};
use crate::transfer::{Lent, Method, Step, Transfer, INLINE_MAX};

/// Is it a byte-stream socket?
#[napi(catch_unwind)]
pub fn is_stream_socket(fd: i32) -> bool {
    borrow(fd).is_ok_and(posix::is_stream_socket)
}

/// Sends `length` bytes of a source from `offset` on, between `head` and `tail`, to a socket.
///
/// 0: it is over, and `report` holds what a callback would hear. Otherwise the number of the job that calls back;
/// `report[1]` holds the bytes sent so far.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)] // one crossing a transfer: each more would cost as much as the call itself
pub fn transfer(
    env: Env,
    fd: i32,
    source: u32,
    offset: f64,
    length: f64,
    head: Option<&[u8]>,
    tail: Option<&[u8]>,
    method: u32,
    report: Array<'_>,
    done: Done<'_>,
) -> Result<f64> {
    let method = chosen(method);
    let started = here(&env, |environment| {
        let (offset, length) = (size(offset)?, size(length)?);
        let plan = Plan { fd, source, offset, length, head, tail, method };
        start(environment, &plan, report)
    })?;
    match started {
        Ok(Some(id)) => {
            let done = done.create_ref()?;
            here(&env, |environment| environment.expect(&env, id, done))??;
            Ok(number(id as u64))
        }
        Ok(None) => Ok(0.0),
        Err(errno) => {
            fill(report, &[FAILED, 0.0, f64::from(-errno), 0.0, 0.0, 0.0, 0.0]);
            Ok(0.0)
        }
    }
}

/// The part of [`transfer`] that needs no other thread, without a tail: sends what goes at once and leaves the rest.
/// `report` holds what a callback would hear, 0 where nothing has left. `head` is latin1. True where all has left and the
/// source was released, as `release` asks for.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)] // as above
pub fn send_now(
    env: Env,
    fd: i32,
    source: u32,
    offset: f64,
    length: f64,
    head: JsString<'_>,
    method: u32,
    release: bool,
    report: Array<'_>,
) -> Result<bool> {
    let head = head.into_latin1()?;
    let head = head.as_slice();
    here(&env, |environment| {
        let sent = size(offset).and_then(|offset| {
            let length = size(length)?;
            let plan =
                Plan { fd, source, offset, length, head: Some(head), tail: None, method: chosen(method) };
            Ok(so_far(&attempt(environment, &plan)?.0, End::Done))
        });
        let sent = sent.map_or([0.0; 7], |sent| numbers(&sent));
        fill(report, &sent);
        let released = release && sent[1] == length + number(head.len() as u64);
        if released {
            forget(environment, source);
        }
        released
    })
}

const fn chosen(method: u32) -> Method {
    match method {
        1 => Method::Sendfile,
        2 => Method::Copy,
        _ if Native::PREFER_COPY => Method::Copy,
        _ => Method::Auto,
    }
}

struct Plan<'a> {
    fd: i32,
    source: u32,
    offset: u64,
    length: u64,
    head: Option<&'a [u8]>,
    tail: Option<&'a [u8]>,
    method: Method,
}

type Borrowed<'a> = Transfer<Lent<'a>, Lent<'a>>;

/// A transfer, and what came of its first attempt: `None` where that might have had to wait for a disk.
fn attempt<'a>(
    environment: &'a Environment,
    plan: &Plan<'a>,
) -> std::result::Result<(Borrowed<'a>, Option<Step>), i32> {
    let socket = borrow(plan.fd)?;
    let held = environment.sources.get(&plan.source).ok_or(libc::EBADF)?;
    let mut transfer =
        Transfer::new(Lent(socket), Lent(held.file.as_fd()), plan.offset, plan.length, plan.method)
            .framed(plan.head.unwrap_or_default().into(), plan.tail.unwrap_or_default().into())
            .trusting(held.local);
    let first = transfer.try_now(&Native);
    Ok((transfer, first))
}

fn so_far(transfer: &Borrowed<'_>, end: End) -> Report {
    Report {
        id: 0,
        end,
        sent: transfer.sent(),
        calls: transfer.calls(),
        waits: 0,
        copied: transfer.copies(),
        refusal: transfer.refusal(),
    }
}

/// The job that goes on with it; `None` if it is over.
fn start(
    environment: &Environment,
    plan: &Plan<'_>,
    report: &mut [f64],
) -> std::result::Result<Option<usize>, i32> {
    let (transfer, first) = attempt(environment, plan)?;
    let end = match first {
        Some(Step::Done) => Some(End::Done),
        Some(Step::Failed(errno)) => Some(End::Failed(errno)),
        Some(Step::Unreadable(errno)) => Some(End::Unreadable(errno)),
        Some(Step::Truncated) => Some(End::Truncated),
        Some(Step::Again | Step::Wait) | None => None,
    };
    if let Some(end) = end {
        fill(report, &numbers(&so_far(&transfer, end)));
        return Ok(None);
    }
    let held = environment.sources.get(&plan.source).ok_or(libc::EBADF)?;
    // From here on the socket is another thread's too: a duplicate, so that JS may close its own at any time.
    let mut refused = numbers(&so_far(&transfer, End::Failed(0)));
    let handed = engine().and_then(|engine| {
        let transfer = transfer.rehoused(engine.hold(borrow(plan.fd)?)?, Arc::clone(&held.file));
        // A small range that could not be sent at once has to be fetched.
        let cold = first.is_none() && plan.length <= INLINE_MAX;
        let begin = if cold { Begin::Cold } else { Begin::WhenWritable };
        engine.transfer(environment.owner, environment.sink.clone(), transfer, begin)
    });
    match handed {
        Ok(id) => {
            fill(report, &refused);
            Ok(Some(id))
        }
        Err(errno) => {
            refused[0] = REFUSED;
            refused[2] = f64::from(-errno);
            fill(report, &refused);
            Ok(None)
        }
    }
}
