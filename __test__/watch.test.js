'use strict';

/**
 * The clock beside a transfer keeps its socket's idle timer from firing as long as bytes move, however far apart, and
 * lets it fire once they do not: by a clock of its own here, where a busy machine makes nothing late.
 */

const { Watch } = require('../lib/watch');

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** A socket with its idle timer, and a transfer whose bytes move when told. */
function make(timeout) {
  const socket = {
    timeout,
    fired: 0,
    setTimeout(ms) {
      clearTimeout(socket.timer);
      socket.timer = setTimeout(() => socket.fired++, ms);
    },
  };
  socket.setTimeout(timeout);
  const state = { sent: 0, movedAt: performance.now() };
  const transfer = {
    out: socket,
    options: { timeout: 0 },
    way: { pulse: () => 0, idle: () => performance.now() - state.movedAt },
    progress: () => state.sent,
  };
  const move = () => {
    state.sent += 1;
    state.movedAt = performance.now();
  };
  const watch = new Watch(transfer);
  watch.begin();
  return { socket, move, watch };
}

describe.each([100, 400, 1000, 2000, 5000, 60_000])('an idle timer of %i ms', (timeout) => {
  test.each([0.3, 0.55, 0.75, 'just under it'])(
    'does not fire while bytes move, with pauses of %s of it',
    (share) => {
      const pause = share === 'just under it' ? timeout - 25 : Math.round(timeout * share);
      const { socket, move, watch } = make(timeout);
      // Bytes move at all distances from the looks at them.
      for (let round = 0; round < 50; round++) {
        jest.advanceTimersByTime(pause - (round % 7));
        move();
        expect(socket.fired).toBe(0);
      }
      watch.stop();
    },
  );

  test('fires once they do not', () => {
    const { socket, move, watch } = make(timeout);
    jest.advanceTimersByTime(timeout / 2);
    move();
    jest.advanceTimersByTime(timeout - 1);
    expect(socket.fired).toBe(0);
    jest.advanceTimersByTime(Math.min(timeout / 2, 1000) + 20);
    expect(socket.fired).toBe(1);
    watch.stop();
  });
});
