//! Opening a source: by path or from a descriptor, with what has to be known of it before its bytes are promised.
//!
//! A path is opened with `O_NONBLOCK | O_CLOEXEC | O_NOCTTY` and must then be a regular file: opening a FIFO would wait
//! for its writer for ever, and a device may do anything.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use super::posix::{self, errno, Kind, Status};

/// An open source.
#[derive(Debug)]
pub struct Source {
    /// The descriptor: nobody else closes it.
    pub fd: OwnedFd,
    /// Its size in bytes, where the size says anything: `None` for pipes, sockets, devices and files of /proc.
    pub size: Option<u64>,
    /// Its file system is known to live in this machine's memory or on its disks: opening a file there asks nobody
    /// else.
    pub local: bool,
}

const FLAGS: libc::c_int = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;

/// Opens a path. May wait for a disk or a server.
///
/// # Errors
/// The errno of open(2); `EISDIR` for a directory, `EINVAL` for anything else that is no regular file.
pub fn open(path: &CStr) -> Result<Source, i32> {
    // SAFETY: `path` is a live C string.
    let fd = owned(unsafe { libc::open(path.as_ptr(), FLAGS) })?;
    let status = regular(posix::status(fd.as_fd())?)?;
    let place = imp::place(fd.as_fd());
    let size = (place != Place::Synthetic).then_some(status.size);
    Ok(Source { fd, size, local: place == Place::Local })
}

/// Opens a path whose file system is known to be local, without waiting for a disk.
///
/// # Errors
/// `EAGAIN` where that cannot be done; otherwise as [`open`].
pub fn open_cached(path: &CStr) -> Result<Source, i32> {
    let fd = imp::open_cached(path)?;
    let status = regular(imp::status_cached(fd.as_fd())?.0)?;
    Ok(Source { fd, size: Some(status.size), local: true })
}

/// Takes a second descriptor of an open file, without asking a disk or a server for its size.
///
/// # Errors
/// `EBADF` for one that is closed or not readable, `EISDIR` for a directory, `EMFILE`.
pub fn adopt(fd: BorrowedFd<'_>) -> Result<Source, i32> {
    posix::check_readable(fd)?;
    let (status, synthetic) = imp::status_cached(fd)?;
    let size = match status.kind {
        Kind::Directory => return Err(libc::EISDIR),
        Kind::Regular => (status.size > 0 || !synthetic).then_some(status.size),
        Kind::Other => None,
    };
    Ok(Source { fd: posix::duplicate(fd)?, size, local: false })
}

/// Is the file system in this machine's memory or on its disks? May wait for a server.
#[must_use]
pub fn is_local(fd: BorrowedFd<'_>) -> bool {
    imp::place(fd) == Place::Local
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
enum Place {
    /// Memory or a disk of this machine.
    Local,
    /// The kernel makes them up while they are read: their files' sizes say nothing.
    Synthetic,
    /// Another machine or another process, or not known.
    Foreign,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::ffi::CStr;
    use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

    use super::super::posix::{self, errno, Kind, Status};
    use super::{owned, Place, FLAGS};

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

    /// openat2(2) with `RESOLVE_CACHED` (5.12): `EAGAIN` where the path is not in the directory cache. A kernel without
    /// it answers `ENOSYS` or `EINVAL`, a sandbox `EPERM`: all mean that it has to be done elsewhere.
    pub fn open_cached(path: &CStr) -> Result<OwnedFd, i32> {
        // SAFETY: an all-zero open_how is a valid value: it holds only numbers.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = u64::try_from(FLAGS | libc::O_LARGEFILE).map_err(|_| libc::EAGAIN)?;
        how.resolve = libc::RESOLVE_CACHED;
        // SAFETY: `path` is a live C string; `how` is live and as large as said.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                libc::AT_FDCWD,
                path.as_ptr(),
                &raw const how,
                size_of::<libc::open_how>(),
            )
        };
        owned(libc::c_int::try_from(fd).unwrap_or(-1)).map_err(|errno| match errno {
            libc::ENOSYS | libc::EINVAL | libc::EPERM | libc::E2BIG => libc::EAGAIN,
            other => other,
        })
    }

    /// statx(2) with `AT_STATX_DONT_SYNC` (4.11): what the kernel knows, without asking a server or a FUSE daemon.
    /// Says too whether the file system has no device of its own, as /proc and /sys have not.
    pub fn status_cached(fd: BorrowedFd<'_>) -> Result<(Status, bool), i32> {
        // SAFETY: an all-zero statx is a valid value: it holds only numbers.
        let mut stat: libc::statx = unsafe { std::mem::zeroed() };
        // By number, since glibc has the wrapper only from 2.28 on.
        // SAFETY: the path is an empty C string; `stat` is live and of the size that the call writes.
        let result = unsafe {
            libc::syscall(
                libc::SYS_statx,
                fd.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC,
                libc::STATX_TYPE | libc::STATX_SIZE,
                &raw mut stat,
            )
        };
        if result == 0 {
            let kind = Kind::of_mode(u32::from(stat.stx_mode));
            return Ok((Status { size: stat.stx_size, kind }, stat.stx_dev_major == 0));
        }
        match errno() {
            libc::ENOSYS | libc::EPERM => Ok((posix::status(fd)?, true)),
            errno => Err(errno),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use std::ffi::CStr;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use super::super::posix::{self, Status};
    use super::Place;

    pub fn place(_: BorrowedFd<'_>) -> Place {
        Place::Foreign
    }

    pub fn open_cached(_: &CStr) -> Result<OwnedFd, i32> {
        Err(libc::EAGAIN)
    }

    pub fn status_cached(fd: BorrowedFd<'_>) -> Result<(Status, bool), i32> {
        Ok((posix::status(fd)?, false))
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
        match open_cached(&path) {
            Ok(source) => assert_eq!(source.size, Some(1)),
            // Another kernel than 5.12 or later, or the entry has left the cache.
            Err(errno) => assert_eq!(errno, libc::EAGAIN),
        }
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
