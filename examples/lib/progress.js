'use strict';

const WIDTH = 24;

/**
 * A line that shows how far a download is: rewritten on a terminal, a new one for every quarter elsewhere.
 * @returns {(done: number, total: number) => void}
 */
function progressBar(out = process.stdout) {
  let quarter = -1;
  return (done, total) => {
    const part = total > 0 ? done / total : 1;
    const bar = '#'.repeat(Math.floor(part * WIDTH)).padEnd(WIDTH, '-');
    const line = `[${bar}] ${String(Math.floor(part * 100)).padStart(3)} % ${mebi(done)} of ${mebi(total)} MiB`;
    const last = quarter;
    quarter = Math.floor(part * 4);
    if (out.isTTY) out.write(`\r${line}${done === total ? '\n' : ''}`);
    else if (quarter !== last) out.write(`${line}\n`);
  };
}

const mebi = (bytes) => (bytes / (1 << 20)).toFixed(1);

module.exports = { mebi, progressBar };
