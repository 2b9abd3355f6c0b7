//! Opening a source: by path or from a descriptor, with what has to be known of it before its bytes are promised.
//!
//! A path is opened with `O_NONBLOCK | O_CLOEXEC | O_NOCTTY` and must then be a regular file: opening a FIFO would wait
//! for its writer for ever, and a device may do anything.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use super::mounts::{self, Mount};
use super::posix::{self, errno, Kind, Status};

/// An open source.
#[derive(Debug)]
pub struct Source {
    /// The descriptor: nobody else closes it.
    pub fd: OwnedFd,
    /// Its size in bytes, where the size says anything: `None` for pipes, sockets, devices and files of /proc.
    pub size: Option<u64>,
    /// Its file system is known to live in this machine's memory or on its disks: opening and closing a file there
    /// asks nobody else.
    pub local: bool,
    /// Its path is absolute and ends on the mount that it begins on: worth an [`open_rooted`] the next time.
    pub rooted: bool,
}

const FLAGS: libc::c_int = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;

/// Opens a path. May wait for a disk or a server.
///
/// # Errors
/// The errno of open(2); `EISDIR` for a directory, `EINVAL` for anything else that is no regular file.
pub fn open(path: &CStr) -> Result<Source, i32> {
    // SAFETY: `path` is a live C string.
    let fd = owned(unsafe { posix::large::open(path.as_ptr(), FLAGS) })?;
    let status = regular(posix::status(fd.as_fd())?)?;
    let place = place(fd.as_fd());
    // Elsewhere a size of 0 may say nothing either: other machines have a /proc too.
    let sized = place == Place::Local || (place == Place::Foreign && status.size > 0);
    let local = place == Place::Local;
    let rooted = local && path.to_bytes().starts_with(b"/") && is_on_root(fd.as_fd());
    Ok(Source { fd, size: sized.then_some(status.size), local, rooted })
}

fn is_on_root(fd: BorrowedFd<'_>) -> bool {
    let mount = imp::status_cached(fd).ok().and_then(|known| known.mount);
    mount.is_some() && mount == imp::root_mount()
}

/// Opens a path whose file system is known to be local, without waiting for a disk.
///
/// The kernel is asked first where the path leads, since a look there asks nobody, but opening it might: a mount or a
/// link may have come into the way of a path that was local before.
///
/// # Errors
/// `EAGAIN` where that cannot be done; otherwise as [`open`].
pub fn open_cached(path: &CStr) -> Result<Source, i32> {
    let mount = imp::status_cached(imp::look(path)?.as_fd())?.mount;
    if !is_known_local(mount) {
        return Err(libc::EAGAIN);
    }
    source_of(imp::open_cached(path)?)
}

/// Opens a path that [`open`] has found `rooted`, without waiting for a disk. It needs no look first: the kernel refuses
/// to leave the mount.
///
/// # Errors
/// `EXDEV` where the path crosses a mount, by now or on its way; otherwise as [`open_cached`].
pub fn open_rooted(path: &CStr) -> Result<Source, i32> {
    source_of(imp::open_rooted(path)?)
}

fn source_of(fd: OwnedFd) -> Result<Source, i32> {
    let known = imp::status_cached(fd.as_fd())?;
    let status = regular(known.status)?;
    Ok(Source { fd, size: Some(status.size), local: is_known_local(known.mount), rooted: false })
}

/// Takes a second descriptor of an open file, without asking a disk or a server for its size.
///
/// # Errors
/// `EBADF` for one that is closed or not readable, `EISDIR` for a directory, `EMFILE`.
pub fn adopt(fd: BorrowedFd<'_>) -> Result<Source, i32> {
    posix::check_readable(fd)?;
    let Known { status, deviceless, blockless, mount } = imp::status_cached(fd)?;
    // Files of /proc say 0 bytes, those of /sys a page, in no blocks; so may a file that is all holes.
    let is_made_up = deviceless && (status.size == 0 || (blockless && !is_known_local(mount)));
    let size = match status.kind {
        Kind::Directory => return Err(libc::EISDIR),
        Kind::Regular => (!is_made_up).then_some(status.size),
        Kind::Other => None,
    };
    Ok(Source { fd: posix::duplicate(fd)?, size, local: is_known_local(mount), rooted: false })
}

/// Is the file system in this machine's memory or on its disks? Where nobody has asked before, it may wait for a
/// server.
#[must_use]
pub fn is_local(fd: BorrowedFd<'_>) -> bool {
    let mount = imp::status_cached(fd).ok().and_then(|known| known.mount);
    mount.and_then(mounts::is_local).unwrap_or_else(|| place(fd) == Place::Local)
}

fn is_known_local(mount: Option<Mount>) -> bool {
    mount.and_then(mounts::is_local) == Some(true)
}

/// Asks the file system, and remembers of its mount what it says.
fn place(fd: BorrowedFd<'_>) -> Place {
    let place = imp::place(fd);
    if let Some(mount) = imp::status_cached(fd).ok().and_then(|known| known.mount) {
        mounts::remember(mount, place == Place::Local);
    }
    place
}

/// What the kernel knows of an open file without asking anybody.
struct Known {
    status: Status,
    /// Its file system has no device of its own: so it is with /proc and /sys, among others.
    deviceless: bool,
    /// Nothing of it is stored anywhere.
    blockless: bool,
    mount: Option<Mount>,
}

fn regular(status: Status) -> Result<Status, i32> {
    match status.kind {
        Kind::Regular => Ok(status),
        Kind::Directory => Err(libc::EISDIR),
        Kind::Other => Err(libc::EINVAL),
    }
}

fn owned(fd: libc::c_int) -> Result<OwnedFd, i32> {
    if fd < 0 {
        return Err(errno());
    }
    // SAFETY: the kernel has just made `fd` and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Where a file system's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // nobody else can tell
enum Place {
    /// Memory or a disk of this machine.
    Local,
    /// The kernel makes them up while they are read: their files' sizes say nothing.
    Synthetic,
    /// Another machine or another process, or not known.
    Foreign,
}

#[cfg(target_os = "linux")]
mod imp {
    use std::ffi::CStr;
    use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

    use super::super::mounts::Mount;
    use super::super::posix::{self, errno, Kind, Status};
    use super::{owned, Known, Place, FLAGS};

    /// statx(2): a number that may be used again, and one that never is (6.8).
    const MOUNT: u32 = 0x1000;
    const MOUNT_UNIQUE: u32 = 0x4000;

    /// [statfs(2)](https://man7.org/linux/man-pages/man2/statfs.2.html) lists these, and linux/magic.h.
    const LOCAL: [u64; 15] = [
        0xef53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683e, // btrfs
        0x0102_1994, // tmpfs
        0x8584_58f6, // ramfs
        0xf2f5_2010, // f2fs
        0x794c_7630, // overlayfs
        0x7371_7368, // squashfs
        0xe0f5_e1e2, // erofs
        0x2fc1_2fc1, // zfs
        0xca45_1a4e, // bcachefs
        0x3153_464a, // jfs
        0x4d44,      // vfat
        0x2011_bab0, // exfat
        0x9660,      // iso9660
    ];
    const SYNTHETIC: [u64; 6] = [
        0x9fa0,      // proc
        0x6265_6572, // sysfs
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
    ];

    pub fn place(fd: BorrowedFd<'_>) -> Place {
        // SAFETY: an all-zero statfs is a valid value: it holds only numbers.
        let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: `stat` is live and of the size that the call writes.
        if unsafe { libc::fstatfs(fd.as_raw_fd(), &raw mut stat) } != 0 {
            return Place::Foreign;
        }
        // The field's type and signedness differ by architecture and libc; the magic numbers have 32 bits.
        #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast, clippy::cast_lossless)]
        let magic = stat.f_type as u64 & 0xffff_ffff;
        if LOCAL.contains(&magic) {
            Place::Local
        } else if SYNTHETIC.contains(&magic) {
            Place::Synthetic
        } else {
            Place::Foreign
        }
    }

    pub fn open_cached(path: &CStr) -> Result<OwnedFd, i32> {
        resolve(path, FLAGS | libc::O_LARGEFILE, RESOLVE_CACHED)
    }

    pub fn open_rooted(path: &CStr) -> Result<OwnedFd, i32> {
        resolve(path, FLAGS | libc::O_LARGEFILE, RESOLVE_CACHED | RESOLVE_NO_XDEV)
    }

    /// The mount that absolute paths begin on. It is local, or nobody asks for it.
    pub fn root_mount() -> Option<Mount> {
        status_at(libc::AT_FDCWD, c"/", 0).ok()?.mount
    }

    /// The place of a path in the directory cache: no file system hears of it, and nothing can be read by it.
    pub fn look(path: &CStr) -> Result<OwnedFd, i32> {
        resolve(path, libc::O_PATH | libc::O_CLOEXEC, RESOLVE_CACHED)
    }

    /// What openat2(2) reads.
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
    }

    const RESOLVE_NO_XDEV: u64 = 0x01;
    const RESOLVE_CACHED: u64 = 0x20;

    /// openat2(2), always with `RESOLVE_CACHED` (5.12): `EAGAIN` where the path is not in the directory cache. A kernel without
    /// it answers `ENOSYS` or `EINVAL`, a sandbox `EPERM`: all mean that it has to be done elsewhere.
    fn resolve(path: &CStr, flags: libc::c_int, how_to: u64) -> Result<OwnedFd, i32> {
        let how = How { flags: u64::try_from(flags).map_err(|_| libc::EAGAIN)?, mode: 0, resolve: how_to };
        // SAFETY: `path` is a live C string; `how` is live and as large as said.
        let fd = unsafe {
            libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), &raw const how, size_of::<How>())
        };
        owned(libc::c_int::try_from(fd).unwrap_or(-1)).map_err(|errno| match errno {
            libc::ENOSYS | libc::EINVAL | libc::EPERM | libc::E2BIG => libc::EAGAIN,
            other => other,
        })
    }

    /// What the kernel knows, without asking a server or a FUSE daemon.
    pub fn status_cached(fd: BorrowedFd<'_>) -> Result<Known, i32> {
        match status_at(fd.as_raw_fd(), c"", libc::AT_EMPTY_PATH) {
            Err(libc::ENOSYS | libc::EPERM) => {
                Ok(Known { status: posix::status(fd)?, deviceless: true, blockless: false, mount: None })
            }
            known => known,
        }
    }

    /// statx(2) with `AT_STATX_DONT_SYNC` (4.11).
    fn status_at(at: libc::c_int, path: &CStr, flags: libc::c_int) -> Result<Known, i32> {
        // SAFETY: an all-zero statx is a valid value: it holds only numbers.
        let mut stat: libc::statx = unsafe { std::mem::zeroed() };
        // By number, since glibc has the wrapper only from 2.28 on.
        // SAFETY: `path` is a live C string; `stat` is live and of the size that the call writes.
        let result = unsafe {
            libc::syscall(
                libc::SYS_statx,
                at,
                path.as_ptr(),
                flags | libc::AT_STATX_DONT_SYNC,
                libc::STATX_TYPE | libc::STATX_SIZE | libc::STATX_BLOCKS | MOUNT | MOUNT_UNIQUE,
                &raw mut stat,
            )
        };
        if result != 0 {
            return Err(errno());
        }
        let kind = Kind::of_mode(u32::from(stat.stx_mode));
        let mount = Mount { id: stat.stx_mnt_id, device: (stat.stx_dev_major, stat.stx_dev_minor) };
        Ok(Known {
            status: Status { size: stat.stx_size, kind },
            deviceless: stat.stx_dev_major == 0,
            blockless: stat.stx_blocks == 0,
            mount: (stat.stx_mask & (MOUNT | MOUNT_UNIQUE) != 0).then_some(mount),
        })
    }
}

/// Android among them: what its filter of system calls does not know, such as openat2(2), ends the process.
#[cfg(not(target_os = "linux"))]
mod imp {
    use std::ffi::CStr;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use super::super::mounts::Mount;
    use super::super::posix;
    use super::{Known, Place};

    pub fn place(_: BorrowedFd<'_>) -> Place {
        Place::Foreign
    }

    pub fn open_cached(_: &CStr) -> Result<OwnedFd, i32> {
        Err(libc::EAGAIN)
    }

    pub fn open_rooted(_: &CStr) -> Result<OwnedFd, i32> {
        Err(libc::EAGAIN)
    }

    pub const fn root_mount() -> Option<Mount> {
        None
    }

    pub fn look(_: &CStr) -> Result<OwnedFd, i32> {
        Err(libc::EAGAIN)
    }

    pub fn status_cached(fd: BorrowedFd<'_>) -> Result<Known, i32> {
        // Android's kernel is Linux: it has a /proc.
        let deviceless = cfg!(target_os = "android");
        Ok(Known { status: posix::status(fd)?, deviceless, blockless: false, mount: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::fs::File;
    use std::io::Read;

    fn temp(name: &str) -> CString {
        let path = std::env::temp_dir().join(format!("rs-sendfile-open-{}-{name}", std::process::id()));
        CString::new(path.into_os_string().into_encoded_bytes()).unwrap()
    }

    fn write(path: &CStr, bytes: &[u8]) {
        std::fs::write(path.to_str().unwrap(), bytes).unwrap();
    }

    fn remove(path: &CStr) {
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
    }

    #[test]
    fn a_regular_file_opens_with_its_size() {
        let path = temp("regular");
        write(&path, b"twelve bytes");
        let source = open(&path).unwrap();
        assert_eq!(source.size, Some(12));
        let mut text = String::new();
        File::from(source.fd).read_to_string(&mut text).unwrap();
        assert_eq!(text, "twelve bytes");
        remove(&path);
    }

    #[test]
    fn a_missing_path_is_enoent() {
        assert_eq!(open(c"/no/such/path").unwrap_err(), libc::ENOENT);
    }

    #[test]
    fn a_directory_is_eisdir() {
        assert_eq!(open(c"/").unwrap_err(), libc::EISDIR);
        let directory = File::open("/").unwrap();
        assert_eq!(adopt(directory.as_fd()).unwrap_err(), libc::EISDIR);
    }

    #[test]
    fn a_fifo_is_refused_and_not_waited_for() {
        let path = temp("fifo");
        // SAFETY: `path` is a live C string.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        assert_eq!(open(&path).unwrap_err(), libc::EINVAL);
        remove(&path);
    }

    #[test]
    fn a_device_is_refused() {
        assert_eq!(open(c"/dev/null").unwrap_err(), libc::EINVAL);
    }

    #[test]
    fn a_write_only_descriptor_is_ebadf() {
        let path = temp("write-only");
        let file = File::create(path.to_str().unwrap()).unwrap();
        assert_eq!(adopt(file.as_fd()).unwrap_err(), libc::EBADF);
        remove(&path);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_path_in_the_directory_cache_opens_without_waiting() {
        let path = temp("cached");
        write(&path, b"x");
        open(&path).unwrap(); // now it is known where the path leads
        match open_cached(&path) {
            Ok(source) => assert_eq!((source.size, source.local), (Some(1), true)),
            // Another kernel than 5.12 or later, or the entry has left the cache.
            Err(errno) => assert_eq!(errno, libc::EAGAIN),
        }
        remove(&path);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_path_on_the_root_mount_opens_without_a_look_and_no_other_does() {
        let path = temp("rooted");
        write(&path, b"xy");
        let source = open(&path).unwrap();
        match open_rooted(&path) {
            Ok(again) => assert_eq!((again.size, again.local, source.rooted), (Some(2), true, true)),
            Err(libc::EXDEV) => assert!(!source.rooted),
            // Another kernel than 5.12 or later, or the entry has left the cache.
            Err(errno) => assert_eq!(errno, libc::EAGAIN),
        }
        remove(&path);
        let other = open(c"/proc/version").unwrap();
        assert!(!other.rooted);
        assert!(matches!(open_rooted(c"/proc/version").unwrap_err(), libc::EXDEV | libc::EAGAIN));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_path_to_a_mount_that_is_not_local_is_left_to_others() {
        assert!(!open(c"/proc/version").unwrap().local);
        assert_eq!(open_cached(c"/proc/version").unwrap_err(), libc::EAGAIN);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_found_out_by_a_path_is_known_of_descriptors_too() {
        let path = temp("adopted");
        write(&path, b"x");
        let source = open(&path).unwrap();
        assert_eq!(adopt(source.fd.as_fd()).unwrap().local, source.local);
        remove(&path);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_size_of_a_proc_file_is_no_size() {
        assert_eq!(open(c"/proc/version").unwrap().size, None);
        let file = File::open("/proc/version").unwrap();
        assert_eq!(adopt(file.as_fd()).unwrap().size, None);
    }
}
