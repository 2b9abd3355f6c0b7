/// <reference types="node" />

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Stream } from 'node:stream';

/**
 * The [send](https://www.npmjs.com/package/send) package's own function, of the version that your project has, with one
 * step replaced: into a plain HTTP/1.1 response the file goes by sendfile(2). Options, events, headers, ranges,
 * conditional requests and error pages are `send`'s own code. What a transfer cannot go to (TLS, HTTP/2, a compressed
 * response) is piped to as ever.
 *
 * ```js
 * const send = require('rs-sendfile/send');
 *
 * http.createServer((req, res) => {
 *   send(req, req.url.split('?')[0], { root: 'public' }).pipe(res);
 * });
 * ```
 *
 * Nobody else's `send` is changed: Express and serve-static keep theirs. Those `rs-sendfile/register` carries.
 *
 * Requiring this without `send` throws an error with the code `ERR_SENDFILE_PEER_MISSING`.
 *
 * @param req the request: its method and headers
 * @param path the path of the file, URL-encoded
 * @param options as `send` has them
 */
declare function send(
  req: IncomingMessage | Http2ServerRequest,
  path: string,
  options?: send.SendOptions,
): send.SendStream;

declare namespace send {
  /** What `send` takes; the defaults are its own. Whatever else is given goes to `fs.createReadStream`. */
  interface SendOptions {
    /** Answer requests for a range, and say so by `Accept-Ranges`. Default: true. */
    acceptRanges?: boolean;
    /** Set `Cache-Control`. Default: true. */
    cacheControl?: boolean;
    /** Names that begin with a dot: 403 (`'deny'`), 404 (`'ignore'`), or nothing special (`'allow'`). Default: `'ignore'`. */
    dotfiles?: 'allow' | 'deny' | 'ignore';
    /** The last byte of the file to send. Default: the file's last. */
    end?: number;
    /** Set `ETag`. Default: true. */
    etag?: boolean;
    /** Endings to try if there is no such file and the path has none. Default: false. */
    extensions?: string | string[] | boolean;
    /** Add `immutable` to `Cache-Control`. Default: false. */
    immutable?: boolean;
    /** Files that answer for a directory. Default: `'index.html'`. */
    index?: string | string[] | boolean;
    /** Set `Last-Modified`. Default: true. */
    lastModified?: boolean;
    /** `max-age`, in milliseconds or as text: `'1 day'`. Default: 0. */
    maxAge?: number | string;
    /** Another spelling of {@link SendOptions.maxAge}. */
    maxage?: number | string;
    /** The directory that `path` is relative to, and does not get out of. */
    root?: string;
    /** The first byte of the file to send. Default: 0. */
    start?: number;
    /** Bytes that are read at once where the file is read. Default: 64 KiB. */
    highWaterMark?: number;
  }

  /**
   * What is piped into the response. Its events:
   * - `'file'` (path, stat): a file was found
   * - `'headers'` (res, path, stat): its headers are about to be set
   * - `'stream'` (stream): it is about to be sent; the `fs.ReadStream` that it is read by
   * - `'end'`: all of it has been handed to the response
   * - `'directory'` (res, path): a directory was asked for. Who listens has to answer
   * - `'error'` (error): with `status`. Who listens has to answer
   */
  interface SendStream extends Stream {
    /** Answers the request. */
    pipe<T extends NodeJS.WritableStream | ServerResponse | Http2ServerResponse>(res: T): T;
  }

  /** The table of types, in versions of `send` before 1; undefined since. */
  const mime: Mime | undefined;

  /** What versions before 1 know of types. */
  interface Mime {
    /** The type of a path's ending. */
    lookup(path: string, fallback?: string): string;
    /** The ending of a type. */
    extension(type: string): string | undefined;
    /** Adds endings to types. */
    define(endings: Record<string, string[]>): void;
    /** The type of a path without a known ending. */
    default_type: string;
  }
}

export = send;
