/// <reference types="node" />

/**
 * sendfile(2) for Node: the call and the transfer.
 *
 * **Errors.** System errors look like Node's own: `code: 'EAGAIN'`, `errno: -11`, `syscall: 'sendfile'`. Bad arguments
 * are a `TypeError` (`ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`) or a `RangeError` (`ERR_OUT_OF_RANGE`), before
 * anything is sent. `sendfileSync` throws; everything else rejects. What each bad input comes to:
 *
 * | input | call | transfer |
 * |---|---|---|
 * | argument of a wrong type | `ERR_INVALID_ARG_TYPE` | `ERR_INVALID_ARG_TYPE` |
 * | NaN, 1.5, past 2^63 - 1 | `ERR_OUT_OF_RANGE` | `ERR_OUT_OF_RANGE` |
 * | negative offset or length | `EINVAL` | `EINVAL` |
 * | fd closed, negative, or open the wrong way | `EBADF` | `EBADF` |
 * | directory as a source | `EINVAL` (as the kernel has it) | `EISDIR` |
 * | FIFO or device as a path | - | `EINVAL`, without waiting for it |
 * | FIFO or socket as a source fd | `ESPIPE`, or `EINVAL` without an offset | copied until its end (1) |
 * | missing path | - | `ENOENT`, `ENOTDIR` |
 * | offset past the end | 0 (or `EOVERFLOW`, `EINVAL`, as the kernel has it) | 0; with a length, to a response: `ERR_SENDFILE_TRUNCATED` |
 * | destroyed socket or response | `EBADF` | `ERR_STREAM_PREMATURE_CLOSE` |
 * | ended socket or response | `EPIPE` | `ERR_STREAM_WRITE_AFTER_END` |
 * | headers already sent without a length | - | the body is chunked |
 * | Content-Length less than what comes | - | `ERR_HTTP_CONTENT_LENGTH_MISMATCH`, nothing sent |
 * | Content-Length that is no row of digits, or two of them | - | `ERR_HTTP_CONTENT_LENGTH_MISMATCH`, nothing sent |
 * | Content-Length more than what comes | - | sent; once the response has ended short, its connection is closed |
 * | a second transfer on the same stream | - | queues up; a response needs a length of its own, or chunks: see below |
 * | signal already aborted | - | `ABORT_ERR`, nothing sent |
 *
 * (1) Where it is blocking. A non-blocking one, as those of Node's own sockets and child processes are, is `EAGAIN` as soon
 * as it is empty for the moment: `pipe` those. An offset is `ESPIPE`.
 */

import type { FileHandle } from 'node:fs/promises';
import type { ClientRequest, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** Bytes to send before or after the file: text (as UTF-8), bytes, or a list of those, of any length. */
export type Bytes = string | Uint8Array | ReadonlyArray<string | Uint8Array>;

/** Where to start in the file, in bytes. `null` is the file's own position, which moves on by the file bytes sent. */
export type Offset = number | bigint | null;

/** How many bytes of the file. `null` or left out: until its end. 0: none. */
export type Length = number | bigint | null;

/** What may stand around the file in one call. */
export interface CallOptions {
  /** Bytes to send before the file. Default: none. */
  headers?: Bytes;
  /** Bytes to send after the file, once all of it is out. Default: none. */
  trailers?: Bytes;
  /** The OS's own flags, see {@link constants}. Default: 0. Anything else is `EINVAL` where the OS has none. */
  flags?: number;
}

/** A stream that a transfer can go to. */
export type Output = Socket | ServerResponse | ClientRequest | Writable;

/**
 * A file: an open fd, a `FileHandle`, or a path.
 *
 * An fd or a FileHandle may be closed as soon as the call has returned: the transfer has a descriptor of its own. Not so
 * without a binary where there is neither `/proc/self/fd` nor `/dev/fd`, as on Windows: there it stays open until the
 * transfer has settled.
 */
export type Source = number | FileHandle | string | Buffer | URL;

export interface TransferOptions {
  /** Where to start in the file, in bytes. Default: 0. `null`: its own position, read once and moved once at the end. */
  offset?: Offset;
  /**
   * How many bytes of the file. Default and `null`: until its end. To a response, a length that the file does not have
   * is `ERR_SENDFILE_TRUNCATED`; to any other stream the range is cut to the file.
   */
  length?: Length;
  /**
   * Bytes to send before the file: part of the body, and of the result. Default: none. Not copied, and so to be left
   * alone until the transfer has settled; `trailers` as well.
   */
  headers?: Bytes;
  /** Bytes to send after the file: part of the body, and of the result. Default: none. */
  trailers?: Bytes;
  /**
   * Ends the transfer with an `AbortError` (`code: 'ABORT_ERR'`). Before it has been put into the stream's queue,
   * nothing is sent and the stream stays usable. After that a response is destroyed; a bare socket only if a byte has
   * left or a step of it still waits for a disk a second later, and whatever JS writes to only if it was given one.
   */
  signal?: AbortSignal;
  /**
   * Ends the transfer with `ERR_SENDFILE_TIMEOUT`, and its connection, when no byte has moved for so many
   * milliseconds. Default: 0, never.
   */
  timeout?: number;
  /** Hears how many bytes are out: at most every 100 ms, and once at the end. */
  onProgress?: (bytesSent: number) => void;
  /**
   * `'auto'` (default): sendfile(2), and reading and writing where the stream or the kernel cannot, or where that is
   * cheaper: files up to 16 KiB that are in memory. `'sendfile'`: sendfile(2) or an error: `ENOTSUP` where the stream cannot, the kernel's own where it refuses the file.
   * `'copy'`: reading and writing; also the remedy for a file system whose sendfile is broken.
   */
  method?: 'auto' | 'sendfile' | 'copy';
}

/** What every error of a transfer carries. */
export interface TransferError extends Error {
  /**
   * - `ABORT_ERR`: by the signal.
   * - `ERR_SENDFILE_TIMEOUT`: no byte moved for that long.
   * - `ERR_SENDFILE_TRUNCATED`: the file ended before the promised length. The connection is destroyed.
   * - `ERR_STREAM_PREMATURE_CLOSE`: the other side left, or the stream was destroyed; `cause` tells more.
   * - `ERR_STREAM_WRITE_AFTER_END`: the stream had been ended.
   * - `ERR_HTTP_CONTENT_LENGTH_MISMATCH`: more than the response has promised. Nothing was sent.
   * - `ERR_ACCESS_DENIED`: Node's permission model forbids the path.
   * - `EMFILE`, `ENFILE`: no descriptor left for the file. A transfer holds one for the file, and while it waits one
   *   more for the socket; where only that is missing, or a thread, or a watch, it goes on by copying.
   * - a system error of opening or reading the file: `ENOENT`, `EACCES`, `EISDIR`, `EIO`, ...
   */
  code: string;
  /**
   * Bytes of this transfer that are out: headers, file and trailers, and never less than what has left. Copied in JS,
   * those that the stream's own `write` has called back for: one write more or less, if the stream broke under it.
   */
  bytesSent: number;
}

/**
 * Delivers a range of a file to a stream: in order with the stream's other writes, with backpressure, and whole or with
 * an error. It never ends the stream.
 *
 * ```js
 * app.get('/report', async (req, res, next) => {
 *   try {
 *     await transfer(res, 'report.pdf');
 *     res.end();
 *   } catch (error) {
 *     if (error.code === 'ERR_STREAM_PREMATURE_CLOSE') return; // the client has left
 *     if (res.headersSent) res.destroy();
 *     else next(error);
 *   }
 * });
 * ```
 *
 * A plain socket or HTTP/1.1 response takes the kernel's way, sendfile(2): no byte passes through JavaScript. TLS,
 * HTTP/2, compressed responses and any other Writable are written to, with the same result and the same guarantees.
 *
 * A response gets a `Content-Length` if it has neither that nor a `Transfer-Encoding`. It gets no body where Node itself
 * drops what is written, and 0 bytes are sent: the answer to a request that came as HEAD, and a head of 1xx, 204 or 304.
 * So several transfers into one response want its `Content-Length`, or `Transfer-Encoding: chunked`, set before the first.
 *
 * An fd has its place in the queue of a plain socket or response before this returns, whoever moves
 * its bytes; a path only in a later microtask; and to any other stream chunks are written one by one. So await it before
 * you write or end.
 *
 * @param out where to
 * @param file what
 * @returns the bytes sent: headers, file and trailers
 */
export function transfer(out: Output, file: Source, options?: TransferOptions): Promise<number>;

/**
 * One call of sendfile(2), on libuv's thread pool: up to `nbytes` bytes of `inFd`, from `offset` on, to `outFd`.
 *
 * Both fds may be closed as soon as this has returned. On a non-blocking `outFd`, as every socket of Node is, it sends
 * what fits, and `EAGAIN` means that nothing does: see {@link waitWritable}.
 *
 * @param outFd a socket; on Linux also a pipe, a device, or a file that is not open for appending (`EINVAL`)
 * @param inFd a regular file
 * @param offset where to start in the file, in bytes; calls that are under way at the same time must not share the file's
 *   own position (`null`): they may send the same bytes
 * @param nbytes how many bytes of it; the kernel may send fewer, on Linux 2,147,479,552 at most
 * @param headers bytes to send before the file
 * @param trailers bytes to send after it, once all of it is out
 * @param flags the OS's own
 * @returns the bytes put on `outFd` by this call: headers, file and trailers together. 0 is the end of the file or an
 *   empty request, and nothing else. If any byte went out the count is returned, whatever came with it; the next call
 *   tells the error.
 *
 * Rejects, at 0 bytes, with the system's error: `EAGAIN` (full), `EBADF`, `EINVAL` (negative, or this file has no
 * sendfile), `EPIPE` and `ECONNRESET` (the peer has left), `ENOTCONN`, `ESPIPE` (an offset for a pipe), `EOVERFLOW`,
 * `EIO`, `ENOMEM`, `EMFILE` (no descriptor left for the two duplicates), `EBUSY` (FreeBSD with `SF_NODISKIO`), `ENOSYS`
 * (no sendfile on this platform, or no binary: see {@link support}).
 *
 * @see https://man7.org/linux/man-pages/man2/sendfile.2.html
 * @see https://man.freebsd.org/cgi/man.cgi?sendfile(2)
 */
export function sendfile(
  outFd: number,
  inFd: number | FileHandle,
  offset: Offset,
  nbytes: Length,
  headers?: Bytes | null,
  trailers?: Bytes | null,
  flags?: number,
): Promise<number>;
export function sendfile(
  outFd: number,
  inFd: number | FileHandle,
  offset: Offset,
  nbytes: Length,
  options?: CallOptions,
): Promise<number>;

/** Another spelling of {@link transfer}: `nbytes` is its `length`. */
export function sendfile(
  out: Output,
  file: Source,
  offset?: Offset,
  nbytes?: Length,
  options?: Omit<TransferOptions, 'offset' | 'length'>,
): Promise<number>;
export function sendfile(out: Output, file: Source, options: TransferOptions): Promise<number>;

/**
 * {@link sendfile} on the calling thread. It waits for the disk if the file is not in memory, and on a blocking `outFd`
 * until all is sent.
 */
export function sendfileSync(
  outFd: number,
  inFd: number | FileHandle,
  offset: Offset,
  nbytes: Length,
  headers?: Bytes | null,
  trailers?: Bytes | null,
  flags?: number,
): number;
export function sendfileSync(
  outFd: number,
  inFd: number | FileHandle,
  offset: Offset,
  nbytes: Length,
  options?: CallOptions,
): number;

export interface WaitOptions {
  /** Rejects with an `AbortError` (`code: 'ABORT_ERR'`). */
  signal?: AbortSignal;
  /** Milliseconds, after which it rejects with `ERR_SENDFILE_TIMEOUT`. Default: 0, never. */
  timeout?: number;
}

/**
 * Resolves once `fd` takes bytes, or has an error to tell, which the next call will: what select(2) is to the raw call.
 * A regular file always does.
 *
 * It holds a duplicate of `fd` meanwhile: a socket that is closed before stays open for its peer until this is over, so
 * give it a timeout or a signal.
 *
 * Rejects with `EBADF`, `EMFILE`, `ENFILE`, `ENOMEM`, and `ENOSPC` where the system has no watch left.
 */
export function waitWritable(fd: number, options?: WaitOptions): Promise<void>;

/** The flags of the OS's sendfile, also exported by name: undefined where this OS has none. FreeBSD has them. */
export const constants: Readonly<{
  /** Fail with `EBUSY` rather than wait for a busy page (FreeBSD 11 and later). */
  SF_NODISKIO: number | undefined;
  /** Without effect since FreeBSD 11. */
  SF_MNOWAIT: number | undefined;
  /** Wait until the pages are not referenced any more; on its way out of FreeBSD. */
  SF_SYNC: number | undefined;
  /** Read ahead as many pages as the upper 16 bits of the flags say. */
  SF_USER_READAHEAD: number | undefined;
  /** Free the pages afterwards. */
  SF_NOCACHE: number | undefined;
}>;

export const SF_NODISKIO: number | undefined;
export const SF_MNOWAIT: number | undefined;
export const SF_SYNC: number | undefined;
export const SF_USER_READAHEAD: number | undefined;
export const SF_NOCACHE: number | undefined;

/** What this machine can do. */
export const support: Readonly<{
  /** The call works; without it transfers copy. */
  available: boolean;
  /** The system call behind it, e.g. `'sendfile'`; null where there is none. */
  syscall: string | null;
  /** Platform, architecture and, on Linux, C library, e.g. `'linux-x64-gnu'`. */
  platform: string;
  /** Why it is not available, and what to do. */
  reason?: string;
}>;
