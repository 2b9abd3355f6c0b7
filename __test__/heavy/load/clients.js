'use strict';

/**
 * A process that is thousands of clients, each of which reads only when it is told to and compares every byte. Asked by
 * messages.
 */

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { answers } = require('../../processes');

/** Clients that connect at the same time: fewer than a server's backlog. */
const AT_ONCE = 200;
/** What a slow client takes in a turn, and how long a turn is. */
const SIP = 4096;
const TURN_MS = 50;
const HEAD_END = '\r\n\r\n';

/** @type {Client[]} */
let clients = [];

class Client {
  constructor(path, isHttp, content) {
    this.content = content;
    this.head = isHttp ? '' : null;
    this.at = 0;
    /** What was wrong first. @type {string | undefined} */
    this.wrong = undefined;
    this.socket = net.connect(path).pause();
    if (isHttp) this.socket.write('GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n');
    this.socket.on('error', (error) => this.fail(error.message));
    this.over = once(this.socket, 'close').then(() => {
      if (this.at !== content.length) this.fail(`${this.at} of ${content.length} bytes came`);
    });
  }

  fail(why) {
    this.wrong ??= why;
    this.socket.destroy();
  }

  /** Takes at most so many bytes, if they are there. */
  sip(bytes) {
    const { socket } = this;
    const chunk = socket.read(Math.min(bytes, socket.readableLength || bytes));
    if (chunk !== null) this.take(chunk);
  }

  drain() {
    this.socket.on('data', (chunk) => this.take(chunk)).resume();
  }

  take(chunk) {
    if (this.head === null) return this.compare(chunk);
    this.head += chunk.toString('latin1');
    const end = this.head.indexOf(HEAD_END);
    if (end < 0) return;
    const from = chunk.length - (this.head.length - end - HEAD_END.length);
    const head = this.head.slice(0, end);
    if (!head.startsWith('HTTP/1.1 200 ') || !head.includes(`\r\nContent-Length: ${this.content.length}`)) {
      return this.fail(`an unexpected head: ${head}`);
    }
    this.head = null;
    this.compare(chunk.subarray(from));
  }

  compare(chunk) {
    const { at, content } = this;
    this.at += chunk.length;
    if (this.at > content.length || content.compare(chunk, 0, chunk.length, at, this.at) !== 0) {
      this.fail(`a wrong byte after ${at}`);
    }
  }
}

/** The slow clients go on sipping until this is aborted. */
let sipping = new AbortController();
let sipped = Promise.resolve();

async function sip({ signal }) {
  while (!signal.aborted) {
    for (const client of clients) client.sip(SIP);
    await new Promise((resolve) => setTimeout(resolve, TURN_MS));
  }
}

answers({
  /** As many clients of a response, and of a bare socket. */
  async connect({ file, responses, sockets, count }) {
    const content = fs.readFileSync(file);
    while (clients.length < count) {
      const some = [];
      while (some.length < AT_ONCE && clients.length + some.length < count) {
        const isHttp = some.length % 2 === 0;
        some.push(new Client(isHttp ? responses : sockets, isHttp, content));
      }
      await Promise.all(some.map(({ socket }) => once(socket, 'connect')));
      clients.push(...some);
    }
  },
  /** Every client takes up to so many bytes in each of so many rounds. How many bytes each has got, and is it over? */
  async rounds({ bytes, count }) {
    const began = clients.map(({ at }) => at);
    for (let i = 0; i < count; i++) {
      for (const client of clients) client.sip(bytes);
      await new Promise(setImmediate);
    }
    return clients.map(({ at }, i) => at - began[i]);
  },
  /** From now on every client takes a little again and again. */
  sip() {
    sipping = new AbortController();
    sipped = sip(sipping);
  },
  /** All leave in the middle of it: how many wrong bytes, or ends, had there been before? */
  async leave() {
    sipping.abort();
    await sipped;
    const wrong = clients.filter((client) => client.wrong !== undefined).length;
    for (const { socket } of clients) socket.destroy();
    await Promise.all(clients.map(({ over }) => over));
    clients = [];
    return wrong;
  },
  /** All read to the end: what was wrong, each thing once. */
  async drain() {
    for (const client of clients) client.drain();
    await Promise.all(clients.map(({ over }) => over));
    const wrong = clients.map((client) => client.wrong).filter((why) => why !== undefined);
    const right = clients.length - wrong.length;
    clients = [];
    return { right, wrong: [...new Set(wrong)].slice(0, 5) };
  },
});
