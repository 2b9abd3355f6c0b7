'use strict';

/** Clients that take as much as they are told. They end with their test. */

const net = require('node:net');

const EVENTS = ['readable', 'end', 'close'];
const opened = new Set();

afterEach(() => {
  for (const socket of opened) socket.destroy();
  opened.clear();
});

class Download {
  /** Asks for this path, as it stands. */
  constructor(port, path) {
    this.taken = 0;
    this.socket = net.connect({ host: '127.0.0.1', port });
    opened.add(this.socket);
    this.socket.on('error', () => {});
    this.socket.pause();
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`, 'latin1');
  }

  /** Takes this many bytes more, or all there are. */
  async take(bytes = Infinity) {
    const { socket } = this;
    const wanted = this.taken + bytes;
    while (this.taken < wanted && !socket.readableEnded && !socket.destroyed) {
      const chunk = socket.read();
      if (chunk) this.taken += chunk.length;
      else if (socket.readableEnded || socket.destroyed) break;
      else await this.#moved();
    }
  }

  #moved() {
    return new Promise((resolve) => {
      const done = () => {
        for (const event of EVENTS) this.socket.off(event, done);
        resolve();
      };
      for (const event of EVENTS) this.socket.on(event, done);
    });
  }

  leave() {
    this.socket.destroy();
  }
}

module.exports = { Download };
