//! JS values as the core wants them.

use std::os::fd::BorrowedFd;

use napi::bindgen_prelude::{BigInt, Either};

/// A file descriptor that JS names by its number.
///
/// # Errors
/// `EBADF` for a negative number.
#[allow(unsafe_code)]
pub fn borrow<'a>(fd: i32) -> Result<BorrowedFd<'a>, i32> {
    if fd < 0 {
        return Err(libc::EBADF);
    }
    // SAFETY: it is not negative. JS names it for this call and runs nothing else meanwhile; what outlives the call
    // works on a duplicate. A number that is not open is only EBADF from the kernel.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// A place or a length: a whole number, or a bigint where 2^53 is not enough; NaN stands for null.
///
/// # Errors
/// `EINVAL` below 0 and past 2^63-1.
pub fn whole(value: Either<f64, BigInt>) -> Result<Option<u64>, i32> {
    match value {
        Either::A(number) if number.is_nan() => Ok(None),
        Either::A(number) => size(number).map(Some),
        Either::B(big) => match big.get_u64() {
            (false, value, true) if value <= i64::MAX as u64 => Ok(Some(value)),
            (true, 0, true) => Ok(Some(0)),
            _ => Err(libc::EINVAL),
        },
    }
}

/// A place or a length within 2^53.
///
/// # Errors
/// `EINVAL` below 0.
pub fn size(number: f64) -> Result<u64, i32> {
    // JS has checked that it is an integer.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if number >= 0.0 {
        Ok(number as u64)
    } else {
        Err(libc::EINVAL)
    }
}

/// A count for JS. Whatever is counted here stays far below 2^53.
#[allow(clippy::cast_precision_loss)]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// A count, or an errno as Node writes it.
pub fn answer(result: Result<u64, i32>) -> f64 {
    match result {
        Ok(count) => number(count),
        Err(errno) => f64::from(-errno),
    }
}

/// A Float64Array by which a call returns more than one number.
pub type Array<'a> = &'a mut [f64];

/// Fills the array by which a call returns more than one number.
pub fn fill(report: &mut [f64], values: &[f64]) {
    for (slot, value) in report.iter_mut().zip(values) {
        *slot = *value;
    }
}
