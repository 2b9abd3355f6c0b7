//! `deny CALL=ERRNO... -- PROGRAM ARGUMENTS...`: runs a program for which the kernel answers these system calls with
//! these errors, as the sandboxes of containers do.

use std::os::unix::process::CommandExt;
use std::process::Command;

const CALLS: [(&str, libc::c_long); 5] = [
    ("sendfile", libc::SYS_sendfile),
    ("cachestat", 451),
    ("preadv2", libc::SYS_preadv2),
    ("openat2", libc::SYS_openat2),
    ("statx", libc::SYS_statx),
];
const ERRNOS: [(&str, i32); 3] =
    [("EPERM", libc::EPERM), ("ENOSYS", libc::ENOSYS), ("EOPNOTSUPP", libc::EOPNOTSUPP)];

/// One instruction of the filter's machine.
fn instruction(code: u32, yes: u8, no: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: yes, jf: no, k }
}

/// Compares the call's number, the first word of what a filter sees, with each of these.
fn filter(denied: &[(u32, u32)]) -> Vec<libc::sock_filter> {
    let answer = |action| instruction(libc::BPF_RET | libc::BPF_K, 0, 0, action);
    let mut program = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for &(call, errno) in denied {
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call));
        program.push(answer(libc::SECCOMP_RET_ERRNO | errno));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

fn parse(text: &str) -> Option<(u32, u32)> {
    let (call, errno) = text.split_once('=')?;
    let (_, call) = CALLS.iter().find(|(name, _)| *name == call)?;
    let (_, errno) = ERRNOS.iter().find(|(name, _)| *name == errno)?;
    Some((u32::try_from(*call).ok()?, u32::try_from(*errno).ok()?))
}

fn install(program: &mut [libc::sock_filter]) -> std::io::Result<()> {
    let length = u16::try_from(program.len()).map_err(std::io::Error::other)?;
    let wanted = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: takes no memory.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: `wanted` and the program that it points at are live and as long as it says; the kernel copies them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const wanted) };
    if result != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut denied = Vec::new();
    for text in arguments.by_ref().take_while(|text| text != "--") {
        match parse(&text) {
            Some(pair) => denied.push(pair),
            None => return fail(&format!("{text} is no CALL=ERRNO that it knows")),
        }
    }
    let Some(program) = arguments.next() else { return fail("no program") };
    if let Err(error) = install(&mut filter(&denied)) {
        return fail(&error.to_string());
    }
    fail(&Command::new(&program).args(arguments).exec().to_string());
}

fn fail(message: &str) {
    eprintln!("deny: {message}");
    std::process::exit(125);
}
