/** A reporter of node:test, for `node --test` and borp: one line of JSON for each case. report.js reads it. */

const path = require('node:path');

module.exports = async function* reporter(source) {
  /** The names of the tests that are open, by nesting. Tests are reported in order of declaration: one at a time. */
  const names = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      names.length = data.nesting;
      names.push(data.name);
    } else if (type === 'test:pass' || type === 'test:fail') {
      const within = [...names.slice(0, data.nesting), data.name];
      if (data.file) within.unshift(path.basename(data.file));
      const { skip, todo, details } = data;
      const left = (skip !== undefined && skip !== false) || (todo !== undefined && todo !== false);
      const state = left ? 'left' : type.slice('test:'.length);
      const why = state === 'fail' ? text(details?.error) : '';
      yield `${JSON.stringify({ name: within.join(' > '), state, why })}\n`;
    }
  }
};

/** node:test wraps what was thrown. */
function text(error) {
  return String(error?.cause?.message ?? error?.cause ?? error?.message ?? error);
}
