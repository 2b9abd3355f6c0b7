//! Linux, as far as sendfile goes: emulated to see whether the method holds, since here the real one is at hand. With
//! no script installed the call is the real one.

#![allow(non_camel_case_types)]

use std::rc::Rc;

use libc::{c_int, size_t, ssize_t};

use super::machine::{
    appends, position, raise_sigpipe, readable, seek, what, writable, Machine, Pass, Stop, What,
};
use super::{Answer, Installed, Slot};

/// 64 bits, by one name or another.
pub type off_t = i64;

/// The arguments of one call.
#[derive(Clone, Debug)]
pub struct Sendfile {
    /// The socket.
    pub out: c_int,
    /// The file.
    pub input: c_int,
    /// What `*offset` held; `None` for a null pointer.
    pub offset: Option<off_t>,
    /// File bytes wanted.
    pub count: size_t,
}

thread_local! {
    static SLOT: Slot<Sendfile, Answer<off_t>> = const { Slot::new(None) };
}

/// Lets `script` answer this thread's calls. The count of an answer goes to `*offset`.
pub fn install(
    script: impl FnMut(&Sendfile) -> Answer<off_t> + 'static,
) -> Installed<Sendfile, Answer<off_t>> {
    super::install(&SLOT, script)
}

/// The call.
///
/// # Safety
/// `offset` is null or points at a live `off_t`.
pub unsafe fn sendfile(out: c_int, input: c_int, offset: *mut off_t, count: size_t) -> ssize_t {
    if super::is_installed(&SLOT) {
        // SAFETY: the caller's word.
        let place = unsafe { offset.as_mut() };
        let call = Sendfile { out, input, offset: place.as_deref().copied(), count };
        let answer = super::answer(&SLOT, call);
        if let (Some(place), Some(count)) = (place, answer.count) {
            *place = count;
        }
        super::leave_errno(answer.errno);
        return answer.returns;
    }
    // SAFETY: the caller's word.
    unsafe { real(out, input, offset, count) }
}

#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    any(target_env = "musl", target_env = "ohos")
))]
use libc::sendfile as real;
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_env = "musl", target_env = "ohos"))
))]
use libc::sendfile64 as real;
/// Elsewhere there is none.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
unsafe fn real(_: c_int, _: c_int, _: *mut off_t, _: size_t) -> ssize_t {
    unreachable!("no script for this call on this thread")
}

const MAX: u64 = 0x7fff_f000;

/// Where files end at the latest, which devices need not.
const MAX_BYTES: i64 = i64::MAX - 4095;

/// Has an emulated Linux answer this thread's calls.
///
/// * A count comes alone: an errno is told only at 0 bytes.
/// * More than 0x7fff_f000 bytes are not sent by one call.
/// * `*offset` moves on by the count, but for devices.
/// * A dead peer raises SIGPIPE.
pub fn boot(machine: &Rc<Machine>) -> Installed<Sendfile, Answer<off_t>> {
    let machine = Rc::clone(machine);
    install(move |call| {
        if let Some(errno) = machine.refusal() {
            return Answer::failed(errno, None);
        }
        let mut pass = machine.pass(call.out);
        let result = run(&mut pass, call);
        match result {
            Err(errno) if pass.sent == 0 => {
                if errno == libc::EPIPE {
                    raise_sigpipe();
                }
                Answer::failed(errno, None)
            }
            _ => {
                let sent = i64::try_from(pass.sent).unwrap();
                let count = call.offset.filter(|_| what(call.input) == Some(What::Regular));
                if call.offset.is_none() && what(call.input) == Some(What::Regular) {
                    seek(call.input, position(call.input).unwrap() + sent);
                }
                Answer {
                    count: count.map(|offset| offset + sent),
                    ..Answer::stale(isize::try_from(sent).unwrap(), 0)
                }
            }
        }
    })
}

fn run(pass: &mut Pass<'_>, call: &Sendfile) -> Result<(), i32> {
    if !readable(call.input) {
        return Err(libc::EBADF);
    }
    let input = what(call.input);
    if call.offset.is_some() && matches!(input, Some(What::Pipe | What::Socket { .. })) {
        return Err(libc::ESPIPE);
    }
    let offset = call.offset.or_else(|| position(call.input)).unwrap_or(0);
    let length = i64::try_from(call.count).map_err(|_| libc::EINVAL)?;
    if offset < 0 || offset.checked_add(length).is_none() {
        return Err(libc::EINVAL);
    }
    if !writable(call.out) {
        return Err(libc::EBADF);
    }
    let endless = input == Some(What::Device) && what(call.out) != Some(What::Regular);
    if offset >= MAX_BYTES && !endless {
        return Err(libc::EOVERFLOW);
    }
    if appends(call.out) || !matches!(input, Some(What::Regular | What::Device)) {
        return Err(libc::EINVAL);
    }
    pass.put_file(call.input, offset, (call.count as u64).min(MAX)).map(drop).map_err(Stop::errno)
}
