//! Questions to the page cache: would reading these bytes wait for a disk?
//!
//! Linux answers in two ways. cachestat(2) (6.5) counts pages, for those who own the file or may write it: the usual
//! web server may not, and gets `EPERM`. preadv2(2) with `RWF_NOWAIT` (4.14) reads only what is there, on file systems
//! that support it (ext4, xfs, btrfs; not tmpfs, overlayfs, FUSE, NFS). Elsewhere nobody answers.

use std::os::fd::BorrowedFd;

/// How a read of a range would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residency {
    /// Every byte is in memory.
    Hot,
    /// Nobody counts the pages, but the first and the last of them are in memory.
    Likely,
    /// Some of it has to be fetched, or nobody can tell.
    Cold,
}

/// Would reading `length` bytes at `offset` wait for a disk?
///
/// `trusted` says that the file system lives in memory or on a disk of this machine: then a full count is believed
/// even where `RWF_NOWAIT` is not supported.
#[must_use]
pub fn residency(file: BorrowedFd<'_>, offset: u64, length: u64, trusted: bool) -> Residency {
    if length == 0 {
        return Residency::Hot;
    }
    imp::residency(file, offset, length, trusted)
}

/// Reads what is in memory at `offset` and not a byte more: `None` where nothing is, or nobody can tell.
#[must_use]
pub fn read_now(file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Option<usize> {
    imp::read_now(file, buffer, offset).ok()
}

#[cfg(target_os = "linux")]
mod imp {
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::sync::LazyLock;

    use super::super::posix::errno;
    use super::Residency;

    /// A place past the end of every file.
    const BEYOND: u64 = (1 << 63) - (1 << 20);

    /// The same number on every architecture that Node runs on.
    const SYS_CACHESTAT: libc::c_long = 451;

    const ONE: libc::c_ulong = 1;

    #[repr(C)]
    struct Range {
        offset: u64,
        length: u64,
    }

    #[repr(C)]
    #[derive(Default)]
    struct Counts {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }

    static PAGE: LazyLock<u64> = LazyLock::new(|| {
        // SAFETY: takes no memory.
        u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
    });

    pub fn residency(file: BorrowedFd<'_>, offset: u64, length: u64, trusted: bool) -> Residency {
        let Some(end) = offset.checked_add(length) else {
            return Residency::Cold;
        };
        let mut byte = [0];
        // Whether this process may count pages is the file system's to say, and one that others answer for may ask them
        // first. Those have no RWF_NOWAIT, which shows where there is nothing to read.
        if !trusted && !matches!(read_now(file, &mut byte, BEYOND), Ok(_) | Err(libc::EAGAIN)) {
            return Residency::Cold;
        }
        let pages = end.div_ceil(*PAGE) - offset / *PAGE;
        let counted = match cached_pages(file, offset, length) {
            Some(cached) if cached < pages => return Residency::Cold,
            Some(_) => true,
            None => false,
        };
        // A page that is being read ahead counts as cached, and waiting for it is waiting for the disk. Read-ahead
        // runs to the end of a range, so its ends tell.
        let last = read_now(file, &mut byte, end - 1);
        let first = if pages > 1 { read_now(file, &mut byte, offset) } else { last };
        match (first, last, counted) {
            (Ok(1), Ok(1), true) => Residency::Hot,
            (Ok(1), Ok(1), false) => Residency::Likely,
            (Err(libc::EOPNOTSUPP), _, true) if trusted => Residency::Hot,
            _ => Residency::Cold,
        }
    }

    fn cached_pages(file: BorrowedFd<'_>, offset: u64, length: u64) -> Option<u64> {
        let range = Range { offset, length };
        let mut counts = Counts::default();
        // SAFETY: both structures are live, laid out as the kernel's, and only `counts` is written.
        let result =
            unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut counts, 0) };
        (result == 0).then_some(counts.cached)
    }

    /// By number, since glibc has the wrapper only from 2.26 on.
    pub fn read_now(file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Result<usize, i32> {
        let vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // What the kernel takes as a long has to be one here: the call is variadic. The offset goes over in two halves;
        // a 64-bit kernel reads the first and drops the second.
        #[allow(clippy::cast_possible_truncation)]
        let (low, high) = (offset as libc::c_ulong, (offset >> 32) as libc::c_ulong);
        // SAFETY: `vector` points at the live, writable `buffer`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_preadv2,
                libc::c_long::from(file.as_raw_fd()),
                &raw const vector,
                ONE,
                low,
                high,
                libc::RWF_NOWAIT,
            )
        };
        usize::try_from(result).map_err(|_| errno())
    }
}

/// Android among them: what its filter of system calls does not know, such as cachestat(2), ends the process.
#[cfg(not(target_os = "linux"))]
mod imp {
    use std::os::fd::BorrowedFd;

    use super::Residency;

    pub fn residency(_: BorrowedFd<'_>, _: u64, _: u64, _: bool) -> Residency {
        Residency::Cold
    }

    pub fn read_now(_: BorrowedFd<'_>, _: &mut [u8], _: u64) -> Result<usize, i32> {
        Err(libc::EOPNOTSUPP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;

    fn file_of(bytes: usize) -> (std::path::PathBuf, File) {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rs-sendfile-cache-{}-{n}", std::process::id()));
        let mut file = File::create_new(&path).unwrap();
        file.write_all(&vec![7; bytes]).unwrap();
        file.sync_all().unwrap();
        (path.clone(), File::open(path).unwrap())
    }

    #[test]
    fn nothing_is_always_there() {
        let (path, file) = file_of(0);
        assert_eq!(residency(file.as_fd(), 0, 0, false), Residency::Hot);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn read_now_gives_right_bytes_or_none() {
        let (path, file) = file_of(10_000);
        let mut buffer = [0; 10_000];
        if let Some(n) = read_now(file.as_fd(), &mut buffer, 0) {
            assert!(buffer[..n].iter().all(|&byte| byte == 7));
        }
        std::fs::remove_file(path).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_dropped_file_is_not_hot() {
        use std::os::fd::AsRawFd;
        let (path, file) = file_of(1 << 20);
        // SAFETY: takes no memory.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        assert_eq!(residency(file.as_fd(), 0, 1 << 20, false), Residency::Cold);
        std::fs::remove_file(path).unwrap();
    }
}
