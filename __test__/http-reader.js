'use strict';

/**
 * An HTTP/1.1 client that believes nothing: it writes requests as they are given, as many at once as one likes, and
 * reads responses byte by byte as the RFC has them. What a lenient parser would forgive is an error here.
 */

const EVENTS = ['readable', 'end', 'close', 'error'];
const CRLF = '\r\n';

/**
 * How a client reads: a way to get the next chunk of a paused socket, or null if there is none yet.
 * `slow` takes a few KiB in a turn of the event loop and skips turns in between, so that the server's socket is full.
 */
const paces = {
  fast: () => (socket) => socket.read(),
  slow: (random = Math.random) => {
    return async (socket) => {
      for (let turns = Math.floor(random() * 3); turns >= 0; turns--) await new Promise(setImmediate);
      const wanted = 1 + Math.floor(random() * 32 * 1024);
      return socket.read(Math.min(wanted, socket.readableLength || wanted));
    };
  },
};

class HttpClient {
  /**
   * @param {import('node:net').Socket} socket
   * @param {(socket: import('node:net').Socket) => any} [pace]
   */
  constructor(socket, pace = paces.fast()) {
    this.socket = socket;
    this.pace = pace;
    this.buffer = Buffer.alloc(0);
    /** What ended the connection, other than its end. */
    this.error = null;
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.pause();
  }

  /** @param {string | Buffer} bytes */
  write(bytes) {
    this.socket.write(bytes);
  }

  /** One request's head: `get('/a')`, `get('/a', 'HEAD', ['Connection: close'])`. */
  send(target, method = 'GET', headers = []) {
    this.write([`${method} ${target} HTTP/1.1`, 'Host: test', ...headers, '', ''].join(CRLF));
  }

  get over() {
    return this.socket.readableEnded || this.socket.destroyed;
  }

  /** More bytes into the buffer; false if there will be none. */
  async fill() {
    for (;;) {
      const chunk = await this.pace(this.socket);
      if (chunk !== null) {
        this.buffer = this.buffer.length === 0 ? chunk : Buffer.concat([this.buffer, chunk]);
        return true;
      }
      if (this.over) return false;
      if (this.socket.readableLength === 0) await this.moved();
    }
  }

  moved() {
    return new Promise((resolve) => {
      const done = () => {
        for (const event of EVENTS) this.socket.off(event, done);
        resolve();
      };
      for (const event of EVENTS) this.socket.on(event, done);
    });
  }

  /** Exactly so many bytes, or as many as there were when the connection ended. */
  async take(length) {
    const parts = [];
    let missing = length;
    while (missing > 0) {
      if (this.buffer.length === 0 && !(await this.fill())) break;
      const part = this.buffer.subarray(0, missing);
      this.buffer = this.buffer.subarray(part.length);
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** The text up to a separator; null if the connection ended before its first byte. */
  async takeUntil(separator) {
    for (;;) {
      const at = this.buffer.indexOf(separator);
      if (at >= 0) {
        const text = this.buffer.toString('latin1', 0, at);
        this.buffer = this.buffer.subarray(at + separator.length);
        return text;
      }
      if (this.buffer.length > 64 * 1024) throw new Error(`no ${JSON.stringify(separator)} in 64 KiB`);
      if (!(await this.fill())) {
        if (this.buffer.length === 0) return null;
        throw new Error(`the connection ended in the middle of: ${this.buffer.toString('latin1')}`);
      }
    }
  }

  /**
   * The next response to a request of this method; null if the connection ended instead. `framing` says what ended the
   * body; `whole` is false if the connection ended before.
   */
  async response(method = 'GET') {
    const head = await this.takeUntil(CRLF + CRLF);
    if (head === null) return null;
    const [first, ...lines] = head.split(CRLF);
    const status = /^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*$/.exec(first);
    if (!status) throw new Error(`not a status line: ${JSON.stringify(first.slice(0, 80))}`);
    const response = { status: Number(status[1]), head, headers: {}, framing: 'none', whole: true };
    for (const line of lines) {
      const field = /^([!#$%&'*+.^_`|~\w-]+): ?(.*)$/.exec(line);
      if (!field) throw new Error(`not a header: ${JSON.stringify(line.slice(0, 80))}`);
      const name = field[1].toLowerCase();
      if (name in response.headers) throw new Error(`twice: ${name}`);
      response.headers[name] = field[2];
    }
    return Object.assign(response, await this.body(method, response));
  }

  async body(method, { status, headers }) {
    const length = headers['content-length'];
    const coding = headers['transfer-encoding'];
    if (length !== undefined && coding !== undefined) throw new Error('a length and a transfer coding');
    if (method === 'HEAD' || status === 204 || status === 304 || status < 200)
      return { body: Buffer.alloc(0) };
    if (coding === 'chunked') return this.chunked();
    if (coding !== undefined) throw new Error(`transfer coding ${coding}`);
    if (length === undefined) return { framing: 'close', body: await this.take(Infinity) };
    if (!/^\d+$/.test(length)) throw new Error(`Content-Length: ${length}`);
    const body = await this.take(Number(length));
    return { framing: 'length', body, whole: body.length === Number(length) };
  }

  async chunked() {
    const parts = [];
    for (;;) {
      const size = await this.takeUntil(CRLF);
      if (size === null) return { framing: 'chunked', body: Buffer.concat(parts), whole: false };
      if (!/^[0-9a-f]+$/i.test(size))
        throw new Error(`not a chunk size: ${JSON.stringify(size.slice(0, 80))}`);
      const length = Number.parseInt(size, 16);
      if (length === 0) return this.lastChunk(Buffer.concat(parts));
      const part = await this.take(length);
      parts.push(part);
      const end = (await this.take(2)).toString('latin1');
      if (part.length < length || end.length < 2) {
        return { framing: 'chunked', body: Buffer.concat(parts), whole: false };
      }
      if (end !== CRLF) throw new Error(`a chunk of ${length} ends in ${JSON.stringify(end)}`);
    }
  }

  /** What is behind the last chunk: trailers, if there are any, and an empty line. */
  async lastChunk(body) {
    const trailers = {};
    for (;;) {
      const line = await this.takeUntil(CRLF);
      if (line === null) return { framing: 'chunked', body, whole: false };
      if (line === '') return { framing: 'chunked', body, trailers };
      const field = /^([!#$%&'*+.^_`|~\w-]+): ?(.*)$/.exec(line);
      if (!field) throw new Error(`not a trailer: ${JSON.stringify(line.slice(0, 80))}`);
      trailers[field[1].toLowerCase()] = field[2];
    }
  }

  /** Everything until the connection ends. */
  rest() {
    return this.take(Infinity);
  }

  destroy() {
    this.socket.destroy();
  }
}

module.exports = { HttpClient, paces };
