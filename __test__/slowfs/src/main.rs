//! `slowfs DIRECTORY [default_permissions]`: mounts a file system whose files are what their names say.
//!
//! A name is a list of settings, `size=1048576,read=200`, and every name that is one exists:
//!
//! * `size`: bytes, as the directory tells it. `give`: bytes that there really are, if fewer.
//! * `read`, `open`, `getattr`, `lookup`, `flush`: milliseconds before each answer. No other answer waits for it.
//! * `ttl`: milliseconds for which the kernel may keep what it was told of the file and its name; 0 if left out.
//! * `direct=1`: past the page cache.
//! * `error`: the errno of a read that goes past the byte `at`.
//! * `seed`: of the bytes, so that no two files are alike. Other settings only make a name another one.
//!
//! The byte at `i` is `i + 7 * (i >> 8) + 13 * (i >> 16) + seed`, modulo 256.
//!
//! Says `mounted` on standard output, and unmounts at the end of standard input.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    Request, Session, SessionACL,
};

/// What a name says.
#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    size: u64,
    give: Option<u64>,
    read: u64,
    open: u64,
    getattr: u64,
    lookup: u64,
    flush: u64,
    ttl: u64,
    direct: u64,
    error: u64,
    at: u64,
    seed: u64,
}

impl Settings {
    fn of(name: &OsStr) -> Option<Self> {
        let mut settings = Self::default();
        for part in name.to_str()?.split(',') {
            let (key, value) = part.split_once('=')?;
            let value = value.parse().ok()?;
            match key {
                "size" => settings.size = value,
                "give" => settings.give = Some(value),
                "read" => settings.read = value,
                "open" => settings.open = value,
                "getattr" => settings.getattr = value,
                "lookup" => settings.lookup = value,
                "flush" => settings.flush = value,
                "ttl" => settings.ttl = value,
                "direct" => settings.direct = value,
                "error" => settings.error = value,
                "at" => settings.at = value,
                "seed" => settings.seed = value,
                _ => {}
            }
        }
        Some(settings)
    }

    fn attributes(&self, inode: u64) -> FileAttr {
        attributes(inode, FileType::RegularFile, 0o444, self.size)
    }

    fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl)
    }

    /// What a read gets.
    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>, Errno> {
        // Not the bytes before it: an answer that is too short is the end of the file.
        if self.error != 0 && offset + length > self.at {
            return Err(Errno::from_i32(i32::try_from(self.error).unwrap_or(libc::EIO)));
        }
        let end = self.size.min(self.give.unwrap_or(u64::MAX));
        Ok(self.pattern(offset, end.min(offset + length)))
    }

    fn pattern(&self, from: u64, to: u64) -> Vec<u8> {
        let byte = |i: u64| i + 7 * (i >> 8) + 13 * (i >> 16) + self.seed;
        (from..to).map(|i| (byte(i) & 255) as u8).collect()
    }
}

fn attributes(inode: u64, kind: FileType, perm: u16, size: u64) -> FileAttr {
    FileAttr {
        ino: INodeNo(inode),
        size,
        blocks: size.div_ceil(512),
        atime: SystemTime::UNIX_EPOCH,
        mtime: SystemTime::UNIX_EPOCH,
        ctime: SystemTime::UNIX_EPOCH,
        crtime: SystemTime::UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// Answers after so many milliseconds, and holds up no other answer.
fn after(milliseconds: u64, answer: impl FnOnce() + Send + 'static) {
    if milliseconds == 0 {
        return answer();
    }
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(milliseconds));
        answer();
    });
}

#[derive(Default)]
struct SlowFs {
    /// By inode, from 2 on.
    files: Mutex<Vec<Settings>>,
    inodes: Mutex<HashMap<String, u64>>,
}

impl SlowFs {
    fn file(&self, inode: INodeNo) -> Option<Settings> {
        let index = usize::try_from(u64::from(inode)).ok()?.checked_sub(2)?;
        self.files.lock().ok()?.get(index).copied()
    }

    fn inode(&self, name: &str, settings: Settings) -> u64 {
        let mut inodes = self.inodes.lock().expect("nobody panics with it");
        *inodes.entry(name.to_owned()).or_insert_with(|| {
            let mut files = self.files.lock().expect("nobody panics with it");
            files.push(settings);
            files.len() as u64 + 1
        })
    }
}

impl Filesystem for SlowFs {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match (name.to_str(), Settings::of(name)) {
            (Some(text), Some(settings)) => {
                let inode = self.inode(text, settings);
                after(settings.lookup, move || {
                    reply.entry(&settings.ttl(), &settings.attributes(inode), Generation(0));
                });
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        if inode == INodeNo::ROOT {
            let root = attributes(1, FileType::Directory, 0o755, 0);
            return reply.attr(&Duration::from_secs(60), &root);
        }
        match self.file(inode) {
            Some(settings) => after(settings.getattr, move || {
                reply.attr(&settings.ttl(), &settings.attributes(inode.into()));
            }),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.file(inode) {
            Some(settings) => after(settings.open, move || {
                let flags =
                    if settings.direct != 0 { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::empty() };
                reply.opened(FileHandle(0), flags);
            }),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.file(inode) {
            Some(settings) => after(settings.read, move || match settings.bytes(offset, size.into()) {
                Ok(bytes) => reply.data(&bytes),
                Err(errno) => reply.error(errno),
            }),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn flush(&self, _: &Request, inode: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        match self.file(inode) {
            Some(settings) => after(settings.flush, move || reply.ok()),
            None => reply.error(Errno::ENOENT),
        }
    }
}

fn mount() -> Result<BackgroundSession, String> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: slowfs DIRECTORY [default_permissions]")?;
    let mut config = Config::default();
    config.acl = SessionACL::All;
    config.mount_options = vec![MountOption::FSName("slowfs".to_owned())];
    if arguments.next().as_deref() == Some("default_permissions") {
        config.mount_options.push(MountOption::DefaultPermissions);
    }
    let session = Session::new(SlowFs::default(), &directory, &config).and_then(Session::spawn);
    session.map_err(|error| format!("{directory}: {error}"))
}

fn main() {
    let session = match mount() {
        Ok(session) => session,
        Err(message) => {
            eprintln!("slowfs: {message}");
            std::process::exit(1);
        }
    };
    println!("mounted");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    // Answers that are still waiting are given up with the connection.
    drop(session);
    std::process::exit(0);
}
