'use strict';

/** What profilers write, as stacks: each an array of `{ name, kind }` from the outermost call on, with its weight. */

const path = require('node:path');

const FRAME = /^\s*[0-9a-f]+ (.+) \((.*)\)$/;
/** What the compilers of V8 put before a function's name. */
const TIER = /^(?:JS|Script|Function|LazyCompile|Eval|Builtin|BytecodeHandler|Stub|RegExp):[~*^+']?/;

/** @param {string} text the output of `perf script` */
function parsePerf(text) {
  return text.split(/\n\n+/).flatMap((sample) => {
    const frames = [];
    for (const line of sample.split('\n').slice(1)) {
      const match = FRAME.exec(line);
      if (match) frames.unshift(frameOf(match[1], match[2]));
    }
    const known = frames.filter((frame, i) => frame && frame.name !== frames[i - 1]?.name);
    return known.length > 0 ? [{ frames: known, weight: 1 }] : [];
  });
}

/** A frame of perf by its symbol and the file that has it; null if neither is known. */
function frameOf(symbol, file) {
  const name = symbol.replace(/\+0x[0-9a-f]+$/, '');
  if (file.startsWith('[kernel') || file.endsWith('.ko')) return { name, kind: 'kernel' };
  if (TIER.test(name)) {
    return {
      name: withoutPaths(name.replace(TIER, '')),
      kind: /^(JS|Lazy|Func|Script)/.test(name) ? 'js' : 'node',
    };
  }
  const kind = file.endsWith('.node') ? 'addon' : 'node';
  if (name !== '[unknown]') return { name: withoutPaths(name), kind };
  return file === '[unknown]' ? null : { name: `[${path.basename(file)}]`, kind };
}

/** Files by their names alone: where they lie says nothing. */
const withoutPaths = (text) => text.replace(/(^|\s)(?:file:\/\/)?(?:\/[^/\s:]+)+\/([^/\s:]+)/g, '$1$2');

/** @param {any} profile a .cpuprofile of V8 */
function parseCpuProfile({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) for (const child of node.children ?? []) byId.get(child).parent = node;
  const weights = new Map();
  for (const [i, id] of samples.entries()) weights.set(id, (weights.get(id) ?? 0) + timeDeltas[i]);
  const stacks = [];
  for (const [id, weight] of weights) {
    const frames = [];
    for (let node = byId.get(id); node?.parent; node = node.parent) {
      const { functionName, url, lineNumber } = node.callFrame;
      const place = url ? ` ${path.basename(url)}:${lineNumber + 1}` : '';
      frames.unshift({ name: `${functionName || '(anonymous)'}${place}`, kind: url ? 'js' : 'node' });
    }
    // What V8 does not count as work.
    if (frames.length > 0 && frames[0].name !== '(idle)') stacks.push({ frames, weight });
  }
  return stacks;
}

module.exports = { parsePerf, parseCpuProfile };
