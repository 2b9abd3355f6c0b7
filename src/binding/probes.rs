//! For tests alone: what this addon has allocated, and a kernel that refuses it calls. Behind the feature `probes`, which
//! no build for users has.

use std::alloc::System;
use std::collections::BTreeMap;
use std::env::consts::ARCH;

use napi::{Error, Result};
use napi_derive::napi;
use seccompiler::{
    apply_filter, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use stats_alloc::{StatsAlloc, INSTRUMENTED_SYSTEM};

use super::args::number;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that the addon has allocated and not freed.
#[napi(catch_unwind)]
pub fn allocated() -> f64 {
    let stats = ALLOCATOR.stats();
    number(stats.bytes_allocated.saturating_sub(stats.bytes_deallocated) as u64)
}

/// From here on the kernel answers a system call with an errno, on this thread and on those that it will start. `when`
/// is a row of argument indices, each with the number that the argument has then.
#[napi(catch_unwind)]
pub fn refuse(call: String, when: Vec<u32>, errno: u32) -> Result<()> {
    let call = match call.as_str() {
        "clone3" => libc::SYS_clone3,
        "epoll_ctl" => libc::SYS_epoll_ctl,
        "fcntl" => libc::SYS_fcntl,
        "openat" => libc::SYS_openat,
        "openat2" => libc::SYS_openat2,
        "sendfile" => libc::SYS_sendfile,
        other => return Err(Error::from_reason(format!("no such probe: {other}"))),
    };
    install(call, &when, errno).map_err(|error| Error::from_reason(error.to_string()))
}

fn install(call: i64, when: &[u32], errno: u32) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let conditions = when
        .chunks_exact(2)
        .map(|pair| {
            let (index, value) = (u8::try_from(pair[0])?, u64::from(pair[1]));
            Ok(SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?)
        })
        .collect::<std::result::Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    let rules = if conditions.is_empty() { Vec::new() } else { vec![SeccompRule::new(conditions)?] };
    let filter = SeccompFilter::new(
        BTreeMap::from([(call, rules)]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        ARCH.try_into()?,
    )?;
    apply_filter(&BpfProgram::try_from(filter)?)?;
    Ok(())
}
