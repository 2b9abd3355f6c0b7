'use strict';

/**
 * pysendfile's own comparison: one TCP connection over loopback, a file in the page cache, 64 KiB for each pass of a
 * loop. The contenders take turns in short rounds over the same connection, so that whatever else the machine does
 * meets both alike.
 */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { summary } = require('./lib/statistics');

const MIB = 1 << 20;
const FILE_BYTES = 64 * MIB;
const PASS_BYTES = 64 << 10;
const CONTENDERS = ['read-write', 'sendfile'];

/** @param {{ quick: boolean }} options */
module.exports = async function compare({ quick }) {
  const rounds = quick ? 3 : 8;
  const bytes = (quick ? 128 : 1024) * MIB;
  console.log(
    `64 KiB a pass over one loopback connection: ${rounds} rounds of ${bytes / MIB} MiB for each, in turns`,
  );

  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-sendfile-bench-'));
  const remove = () => fs.rmSync(dir, { recursive: true, force: true });
  process.once('exit', remove);
  process.once('SIGINT', () => process.exit(130));
  const file = path.join(dir, 'file');
  fs.writeFileSync(file, Buffer.alloc(FILE_BYTES, 'rs-sendfile'));

  const sender = start('sender');
  const reader = start('reader');
  const round = async (contender) => {
    reader.send({ expect: bytes });
    return ask(sender, { contender, file, bytes, passBytes: PASS_BYTES });
  };
  try {
    const { port } = await ask(sender);
    reader.send({ port });
    await ask(sender); // connected
    const results = Object.fromEntries(CONTENDERS.map((name) => [name, []]));
    for (const name of CONTENDERS) await round(name); // a round to warm up counts for nobody
    for (let i = 0; i < rounds; i++) {
      for (const name of CONTENDERS) results[name].push(await round(name));
    }
    report(results);
  } finally {
    sender.kill();
    reader.kill();
    remove();
  }
};

const start = (name) => fork(path.join(__dirname, 'lib', `${name}.js`));

/** Sends a message, if there is one, and resolves with the next answer. */
async function ask(child, message) {
  const gone = new AbortController();
  const exited = once(child, 'exit', { signal: gone.signal }).then(([code, signal]) => {
    throw new Error(`${child.spawnfile} ended with ${signal ?? code}`);
  });
  if (message) child.send(message);
  try {
    return (await Promise.race([once(child, 'message', { signal: gone.signal }), exited]))[0];
  } finally {
    gone.abort();
    exited.catch(() => {});
  }
}

function report(results) {
  const rows = [
    ['median (min..max)', ...CONTENDERS, `${CONTENDERS[1]} / ${CONTENDERS[0]}`],
    row('CPU us per pass', 'cpuPerPass'),
    row('MB/s', 'rate'),
    row('waits per pass', 'waitsPerPass').slice(0, -1), // no ratio: there may have been none
  ];
  for (const cells of rows)
    console.log(
      cells
        .map((cell) => cell.padEnd(26))
        .join('')
        .trimEnd(),
    );

  function row(title, key) {
    const [one, other] = CONTENDERS.map((name) => results[name].map((result) => result[key]));
    // Of neighbours in time: what slowed one round of a pair most likely slowed the other.
    const ratios = other.map((value, i) => value / one[i]);
    return [title, summary(one), summary(other), summary(ratios)];
  }
}
