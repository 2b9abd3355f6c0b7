//! The emulated kernels have the bugs that theirs have, also those that no platform file goes near: who changes one to
//! do so finds out here why it did not.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use libc::{c_int, iovec, EAGAIN, EINVAL};

use super::machine::{Fate, Machine, Stop};
use super::{aix, apple, dragonfly, freebsd, solarish, Bench};
use crate::sys::posix::errno;

fn iovecs(buffers: &[&'static [u8]]) -> Vec<iovec> {
    let entry = |buffer: &&[u8]| iovec { iov_base: buffer.as_ptr().cast_mut().cast(), iov_len: buffer.len() };
    buffers.iter().map(entry).collect()
}

/// "head" before and "tail" after, for as long as the vectors live.
fn around(headers: &mut Vec<iovec>, trailers: &mut Vec<iovec>) -> apple::sf_hdtr {
    apple::sf_hdtr {
        headers: headers.as_mut_ptr(),
        hdr_cnt: c_int::try_from(headers.len()).unwrap(),
        trailers: trailers.as_mut_ptr(),
        trl_cnt: c_int::try_from(trailers.len()).unwrap(),
    }
}

fn framed() -> (Vec<iovec>, Vec<iovec>) {
    (iovecs(&[b"he", b"ad"]), iovecs(&[b"tail"]))
}

/// What arrived, once nothing more can.
fn arrived(bench: Bench) -> String {
    let Bench { out, mut peer, input: _ } = bench;
    drop(out);
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    text
}

fn fated(room: u64, stop: Stop) -> Rc<Machine> {
    Rc::new(Machine::fated([Fate { room, stop }]))
}

/// The call's return and its count.
fn on_macos(bench: &Bench, mut len: i64, hdtr: &mut apple::sf_hdtr) -> (c_int, i64) {
    let (fd, s) = (bench.input.as_raw_fd(), bench.out.as_raw_fd());
    // SAFETY: all that is pointed at is live.
    (unsafe { apple::sendfile(fd, s, 0, &raw mut len, hdtr, 0) }, len)
}

type Bsd = unsafe fn(c_int, c_int, i64, usize, *mut apple::sf_hdtr, *mut i64, c_int) -> c_int;

fn on_bsd(call: Bsd, bench: &Bench, nbytes: usize, hdtr: &mut apple::sf_hdtr) -> (c_int, i64) {
    let (fd, s) = (bench.input.as_raw_fd(), bench.out.as_raw_fd());
    let mut sbytes = -7;
    // SAFETY: all that is pointed at is live.
    (unsafe { call(fd, s, 0, nbytes, hdtr, &raw mut sbytes, 0) }, sbytes)
}

#[test]
fn on_macos_the_length_covers_the_headers_too() {
    let _kernel = apple::boot(&Rc::default());
    let bench = Bench::new(b"0123456789");
    let (mut headers, mut trailers) = framed();
    assert_eq!(on_macos(&bench, 10, &mut around(&mut headers, &mut trailers)), (0, 14));
    assert_eq!(arrived(bench), "head012345tail");
}

#[test]
fn on_macos_no_headers_are_not_a_list_of_none() {
    let _kernel = apple::boot(&Rc::default());
    let bench = Bench::new(b"0123456789");
    let (mut headers, mut trailers) = framed();
    let mut hdtr = apple::sf_hdtr { hdr_cnt: 0, ..around(&mut headers, &mut trailers) };
    assert_eq!(on_macos(&bench, 10, &mut hdtr), (-1, 0));
    assert_eq!(errno(), EINVAL);
}

#[test]
fn on_macos_headers_cut_short_are_followed_by_the_file() {
    let _kernel = apple::boot(&fated(3, Stop::Full));
    let bench = Bench::new(b"0123456789");
    let (mut headers, mut trailers) = framed();
    assert_eq!(on_macos(&bench, 8, &mut around(&mut headers, &mut trailers)), (0, 12));
    assert_eq!(arrived(bench), "hea01234tail");
}

#[test]
fn on_freebsd_headers_of_an_empty_file_are_dropped_and_its_trailers_are_not() {
    let _kernel = freebsd::boot(&Rc::default());
    let bench = Bench::new(b"");
    let (mut headers, mut trailers) = framed();
    let mut hdtr = around(&mut headers, &mut trailers);
    assert_eq!(on_bsd(freebsd::sendfile, &bench, 0, &mut hdtr), (0, 4));
    assert_eq!(arrived(bench), "tail");
}

#[test]
fn on_freebsd_the_length_covers_the_file_alone() {
    let _kernel = freebsd::boot(&Rc::default());
    let bench = Bench::new(b"0123456789");
    let (mut headers, mut trailers) = framed();
    let mut hdtr = around(&mut headers, &mut trailers);
    assert_eq!(on_bsd(freebsd::sendfile, &bench, 8, &mut hdtr), (0, 16));
    assert_eq!(arrived(bench), "head01234567tail");
}

#[test]
fn on_dragonfly_headers_take_the_place_of_the_files_last_bytes() {
    let _kernel = dragonfly::boot(&Rc::default());
    let bench = Bench::new(&[b'f'; 5000]);
    let (mut headers, mut trailers) = framed();
    let mut hdtr = around(&mut headers, &mut trailers);
    assert_eq!(on_bsd(dragonfly::sendfile, &bench, 5000, &mut hdtr), (0, 5004));
    assert_eq!(arrived(bench), format!("head{}tail", "f".repeat(4996)));
}

#[test]
fn on_dragonfly_an_early_error_leaves_a_count_of_anything() {
    let _kernel = dragonfly::boot(&Rc::default());
    let bench = Bench::new(b"0123456789");
    let (mut headers, mut trailers) = framed();
    let mut hdtr = around(&mut headers, &mut trailers);
    let mut sbytes = 0;
    let fd = bench.input.as_raw_fd();
    // SAFETY: all that is pointed at is live.
    let result = unsafe { dragonfly::sendfile(fd, fd, 0, 10, &raw mut hdtr, &raw mut sbytes, 0) };
    assert_eq!((result, errno(), sbytes), (-1, libc::ENOTSOCK, 1));
}

fn on_sunos(bench: &Bench, entries: &[solarish::sendfilevec_t]) -> (isize, usize) {
    let mut xferred = 7;
    let count = c_int::try_from(entries.len()).unwrap();
    // SAFETY: all that is pointed at is live.
    let result =
        unsafe { solarish::sendfilev(bench.out.as_raw_fd(), entries.as_ptr(), count, &raw mut xferred) };
    (result, xferred)
}

fn entry(sfv_fd: c_int, sfv_off: i64, sfv_len: usize) -> solarish::sendfilevec_t {
    solarish::sendfilevec_t { sfv_fd, sfv_flag: 0, sfv_off, sfv_len }
}

fn memory(bytes: &'static [u8]) -> solarish::sendfilevec_t {
    entry(solarish::SFV_FD_SELF, bytes.as_ptr().expose_provenance().cast_signed() as i64, bytes.len())
}

#[test]
fn on_illumos_a_little_too_much_sends_nothing_and_a_lot_too_much_sends_all() {
    let _kernel = solarish::boot(solarish::Make::Illumos, &Rc::default());
    for (asked, count) in [(11, 0), (1_000_000, 10)] {
        let bench = Bench::new(b"0123456789");
        let file = entry(bench.input.as_raw_fd(), 0, asked);
        assert_eq!(on_sunos(&bench, &[file]), (-1, count));
        assert_eq!(errno(), EINVAL);
        assert_eq!(arrived(bench).len(), count);
    }
}

#[test]
fn on_illumos_no_entries_leave_the_count_as_it_was() {
    let _kernel = solarish::boot(solarish::Make::Illumos, &Rc::default());
    assert_eq!(on_sunos(&Bench::new(b""), &[]), (-1, 7));
}

#[test]
fn on_solaris_trailers_stand_in_the_place_of_bytes_that_are_missing() {
    let _kernel = solarish::boot(solarish::Make::Solaris, &Rc::default());
    let bench = Bench::new(b"0123");
    let file = entry(bench.input.as_raw_fd(), 0, 10);
    assert_eq!(on_sunos(&bench, &[memory(b"head"), file, memory(b"tail")]), (12, 12));
    assert_eq!(arrived(bench), "head0123tail");
}

fn on_aix(bench: &Bench, file_bytes: i64, flags: c_int) -> (isize, u64, c_int) {
    let mut socket = bench.out.as_raw_fd();
    let mut params = aix::sf_parms {
        header_data: std::ptr::null_mut(),
        header_length: 0,
        file_descriptor: bench.input.as_raw_fd(),
        file_size: 0,
        file_offset: 0,
        file_bytes,
        trailer_data: std::ptr::null_mut(),
        trailer_length: 0,
        bytes_sent: 0,
    };
    // SAFETY: all that is pointed at is live.
    let result = unsafe { aix::send_file(&raw mut socket, &raw mut params, flags.cast_unsigned()) };
    (result, params.bytes_sent, socket)
}

#[test]
fn on_aix_the_socket_is_closed_and_its_number_gone_for_who_asks() {
    let _kernel = aix::boot(&Rc::default());
    let bench = Bench::new(b"0123456789");
    assert_eq!(on_aix(&bench, 10, aix::SF_CLOSE | aix::SF_DONT_CACHE), (0, 10, -1));
    assert_eq!(on_aix(&bench, 10, aix::SF_DONT_CACHE).0, -1);
}

#[test]
fn on_aix_a_full_buffer_has_three_names() {
    let full = Rc::new(Machine::fated([Fate { room: 0, stop: Stop::Full }; 3]));
    let _kernel = aix::boot(&full);
    let bench = Bench::new(b"0123456789");
    let told = [(); 3].map(|()| (on_aix(&bench, 10, aix::SF_DONT_CACHE).0, errno()));
    assert_eq!(told, [(-1, 54), (-1, EAGAIN), (1, libc::EIO)]);
}
