/**
 * `node -r rs-sendfile/register app.js`, `node --import rs-sendfile/register app.js`, or one `require` before the first
 * response: from then on every `fs.ReadStream` of this thread that is piped into a plain HTTP/1.1 response, by `pipe` or
 * `stream.pipeline`, is sent by transfers. Express, Koa, Fastify and their likes send files that way.
 *
 * The pipe stays Node's own, with all its events. Left to Node, byte for byte, is every stream that somebody else looks
 * at or that is not a file of the kernel's: see {@link RegisterStats.left}.
 */

/** What has become of the streams that were piped into responses, in this thread. */
export interface RegisterStats {
  /** Streams of which at least one piece was sent by a transfer. */
  taken: number;
  /** Those of them that were sent to their end. */
  completed: number;
  /** Those of them that ended before it: the client left, the stream was destroyed, the file failed. */
  failed: number;
  /** Bytes sent by transfers. */
  bytes: number;
  /**
   * Streams left to Node, by the first reason:
   *
   * - `'custom fs'`: made with the option `fs`; its descriptors are not the kernel's. `'patched fs'`: `fs.open` or
   *   `fs.read` is not Node's own. `'overridden'`: the stream's `_read`, `read`, `push`, `emit`, `open`, `_construct` or
   *   `_destroy` is not.
   * - `'encoding'`, `'data listener'`, `'readable listener'`, `'second destination'`: somebody else wants the bytes.
   * - `'patched'`: the response's `write` is not Node's own, as with compression. `'TLS'`, `'HTTP/2'`, `'trailers'`,
   *   `'no body'` (HEAD, 204, 304), `'ended'`, `'not a plain socket'`, `'no fd'`.
   * - `'paused'`: reading had begun before it was piped. `'never read'`: it could not be opened, or nobody was left to
   *   read for.
   * - `'empty'`: nothing of the file was asked for, or there is nothing. `'unsized'`: a pipe, a device, some of /proc. An
   *   errno code, such as `'EMFILE'` or `'EISDIR'`.
   * - `'unsupported'`: no binary for this platform, or no sendfile on it.
   */
  left: Record<string, number>;
}

/** Counts since this was loaded. */
export function stats(): RegisterStats;

/** Hooks again after {@link unregister}. Loading this has hooked already; calling it twice does nothing. */
export function register(): void;

/**
 * Takes the hook back. Streams that are being sent end by Node's own pipe. Does nothing if another package has come over
 * the hook meanwhile: the hook has to stay below it then, but takes no stream any more.
 */
export function unregister(): void;
