//! One attempt at sending headers, a range of a file and trailers: the same on every OS.
//!
//! Each of the three is tried once, in order, and the next is begun only when the one before is out whole. What went
//! out is counted part by part, so that the caller knows where to go on whatever happened. Kernels that can send all
//! three by one call get the headers and the file: behind a file that has just become shorter the trailers would stand
//! in the place of its bytes.

use std::os::fd::BorrowedFd;

use crate::sys::posix::IOV_MAX;
use crate::sys::{signal, Call, Kernel, Outcome};

/// What to send.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where the bytes go.
    pub out: BorrowedFd<'a>,
    /// The file the bytes come from.
    pub input: BorrowedFd<'a>,
    /// Where to start in the file; `None` is its own position, which moves on by the file bytes sent.
    pub offset: Option<u64>,
    /// File bytes wanted; `None` is all until the end of the file.
    pub nbytes: Option<u64>,
    /// Bytes to send before the file.
    pub headers: &'a [&'a [u8]],
    /// Bytes to send after the file.
    pub trailers: &'a [&'a [u8]],
    /// The OS's own flags.
    pub flags: i32,
    /// The caller knows that the file holds `nbytes` bytes from `offset` on: no need to ask.
    pub sized: bool,
}

/// What went out, and what the kernel said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes of the headers.
    pub headers: u64,
    /// Bytes of the file.
    pub file: u64,
    /// Bytes of the trailers.
    pub trailers: u64,
    /// The errno that ended the attempt, 0 for none. It may stand beside bytes.
    pub errno: i32,
}

impl Tally {
    /// All bytes put on the output by this attempt.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.headers + self.file + self.trailers
    }

    const fn failed(errno: i32) -> Self {
        Self { headers: 0, file: 0, trailers: 0, errno }
    }

    /// The count, or the errno where there is none to tell: a count is never lost to an errno.
    ///
    /// # Errors
    /// The errno, at 0 bytes.
    pub const fn result(&self) -> Result<u64, i32> {
        if self.total() == 0 && self.errno != 0 {
            Err(self.errno)
        } else {
            Ok(self.total())
        }
    }
}

/// Makes the attempt. `EINTR` at 0 bytes is tried again: nothing was consumed.
pub fn attempt<K: Kernel>(kernel: &K, request: &Request<'_>) -> Tally {
    let headers = filled(request.headers);
    let trailers = filled(request.trailers);
    let plan = match plan(kernel, request, !headers.is_empty() || !trailers.is_empty()) {
        Ok(plan) => plan,
        Err(errno) => return Tally::failed(errno),
    };
    let tally = signal::quietly(|| in_three_steps(kernel, request, &plan, &headers, &trailers));
    if tally.total() == 0 && !request.sized && matches!(tally.errno, libc::ENOTSOCK | libc::EACCES) {
        // Some kernels look at other things first, or have another word for a descriptor that is open the wrong way.
        return match kernel.check_modes(request.out, request.input) {
            Err(errno) => Tally::failed(errno),
            Ok(()) => tally,
        };
    }
    match plan.position {
        Some(position) if tally.file > 0 => {
            // The bytes are out: a position that cannot be set must not hide them.
            let _ = kernel.seek(request.input, position + tally.file);
            tally
        }
        _ => tally,
    }
}

/// What is left of the request once the file has been asked.
struct Plan {
    /// Where to start; `None` is left to the kernel.
    offset: Option<u64>,
    /// File bytes for this attempt.
    nbytes: u64,
    /// These are all the file bytes of the request, so trailers may follow them.
    whole: bool,
    /// The file's own position, where we have to move it ourselves.
    position: Option<u64>,
}

fn plan<K: Kernel>(kernel: &K, request: &Request<'_>, framed: bool) -> Result<Plan, i32> {
    if request.flags != 0 && !K::FLAGS {
        return Err(libc::EINVAL);
    }
    let position = match request.offset {
        None if !K::NULL_OFFSET => Some(kernel.position(request.input)?),
        _ => None,
    };
    let offset = request.offset.or(position);
    let wanted = request.nbytes.unwrap_or(u64::MAX);
    let mut nbytes = wanted;
    if !request.sized && (framed || nbytes == 0) {
        // Whatever is wrong has to be found before the headers are out.
        kernel.check_modes(request.out, request.input)?;
    }
    if nbytes > 0 && (K::CLAMP || (framed && !request.sized)) {
        if let Some(size) = kernel.size(request.input)? {
            let start = match offset {
                Some(offset) => offset,
                None => kernel.position(request.input)?,
            };
            nbytes = nbytes.min(size.saturating_sub(start));
            if nbytes == 0 && !framed {
                kernel.check_modes(request.out, request.input)?;
            }
        } else if offset.is_some() {
            // A pipe has no offsets: ESPIPE.
            kernel.position(request.input)?;
        }
    }
    // Whoever vouches for the file's length wants all of it before the trailers, and not what is left of it.
    let whole = nbytes <= K::MAX && (nbytes == wanted || !request.sized);
    Ok(Plan { offset, nbytes: nbytes.min(K::MAX), whole, position })
}

fn in_three_steps<K: Kernel>(
    kernel: &K,
    request: &Request<'_>,
    plan: &Plan,
    headers: &[&[u8]],
    trailers: &[&[u8]],
) -> Tally {
    let mut tally = Tally::default();
    let (apart, along): (&[&[u8]], &[&[u8]]) =
        if K::VECTORED && plan.nbytes > 0 { (&[], headers) } else { (headers, &[]) };
    if !apart.is_empty() {
        let more = plan.nbytes > 0 || !trailers.is_empty();
        let (outcome, whole) = send_all(kernel, request.out, apart, more);
        tally.headers = outcome.sent;
        tally.errno = outcome.errno;
        if !whole {
            return tally;
        }
    }
    // The file is at its end, or all that was wanted of it is out.
    let mut ended = plan.nbytes == 0 && plan.whole;
    if plan.nbytes > 0 {
        let outcome = persist(|| {
            kernel.sendfile(&Call {
                out: request.out,
                input: request.input,
                offset: plan.offset,
                nbytes: plan.nbytes,
                headers: along,
                flags: request.flags,
            })
        });
        let in_headers = outcome.sent.min(length(along));
        tally.headers += in_headers;
        tally.file = outcome.sent - in_headers;
        tally.errno = outcome.errno;
        // Whoever vouches for the file's length wants nothing in the place of bytes that are missing.
        let at_end = outcome == Outcome::default() && along.is_empty() && !request.sized;
        ended = at_end || (plan.whole && tally.file == plan.nbytes);
    }
    if ended && !trailers.is_empty() {
        let (outcome, _) = send_all(kernel, request.out, trailers, false);
        tally.trailers = outcome.sent;
        tally.errno = outcome.errno;
    }
    let promised = !apart.is_empty() && (plan.nbytes > 0 || !trailers.is_empty());
    if promised && tally.headers > 0 && tally.headers == tally.total() {
        // The headers went out with the promise that more follows, and nothing did.
        kernel.flush(request.out);
    }
    tally
}

/// Sends buffers, as many at once as the kernel takes. Says too whether all went out.
fn send_all<K: Kernel>(kernel: &K, out: BorrowedFd<'_>, buffers: &[&[u8]], more: bool) -> (Outcome, bool) {
    let mut sent = 0;
    let mut batches = buffers.chunks(IOV_MAX).peekable();
    while let Some(batch) = batches.next() {
        let more = more || batches.peek().is_some();
        let outcome = persist(|| kernel.send(out, batch, more));
        sent += outcome.sent;
        if outcome.sent < length(batch) {
            if outcome.sent == 0 && sent > 0 {
                // The batch before went out with the promise of this one.
                kernel.flush(out);
            }
            return (Outcome::partial(sent, outcome.errno), false);
        }
    }
    (Outcome::sent(sent), true)
}

/// Makes the call again while it is interrupted before its first byte.
pub(crate) fn persist(mut call: impl FnMut() -> Outcome) -> Outcome {
    loop {
        let outcome = call();
        if outcome.sent > 0 || outcome.errno != libc::EINTR {
            return outcome;
        }
    }
}

fn filled<'a>(buffers: &[&'a [u8]]) -> Vec<&'a [u8]> {
    // An empty Vec costs no allocation: the plain call pays nothing.
    buffers.iter().copied().filter(|buffer| !buffer.is_empty()).collect()
}

fn length(buffers: &[&[u8]]) -> u64 {
    buffers.iter().map(|buffer| buffer.len() as u64).sum()
}

#[cfg(test)]
#[path = "attempt/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "attempt/native_tests.rs"]
mod native_tests;
