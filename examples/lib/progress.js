'use strict';

const WIDTH = 24;

/**
 * A line that shows how far a download is: rewritten on a terminal, a new one for every quarter elsewhere.
 * @returns {(done: number, total: number) => void}
 */
function progressBar(out = process.stdout) {
  const steps = out.isTTY ? 100 : 4;
  let last = -1;
  return (done, total) => {
    const part = total > 0 ? done / total : 1;
    const step = Math.floor(part * steps);
    if (step === last) return;
    last = step;
    const bar = '#'.repeat(Math.floor(part * WIDTH)).padEnd(WIDTH, '-');
    const line = `[${bar}] ${String(Math.floor(part * 100)).padStart(3)} % ${mebi(done)} of ${mebi(total)} MiB`;
    out.write(out.isTTY ? `\r${line}${done === total ? '\n' : ''}` : `${line}\n`);
  };
}

const mebi = (bytes) => (bytes / (1 << 20)).toFixed(1);

module.exports = { mebi, progressBar };
