'use strict';

const LONGEST = 1024;

/** The lines that come from a socket, one at a time; one that is longer than any command ends them. */
async function* linesOf(socket) {
  let rest = '';
  // It stays open when the loop is left: its last answer has yet to go.
  for await (const text of socket.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop();
    yield* lines;
    if (rest.length > LONGEST) return;
  }
}

module.exports = { linesOf };
