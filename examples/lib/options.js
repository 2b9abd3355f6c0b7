'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');

const USAGE =
  'usage: npm start -- [dir] [--port N]    (dir: this repository, port: 8080; 0 takes any free port)';

/**
 * The command line of examples/http.js. Ends the process, with the usage and code 2, if it makes no sense.
 * @param {string[]} args
 * @returns {{ root: string, port: number }} `root` is a real path
 */
function readOptions(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { port: { type: 'string', default: '8080' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    if (positionals.length > 1) throw new Error(`one directory, not ${positionals.length}`);
    if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65535)
      throw new Error(`no port: ${values.port}`);
    return { root: directory(positionals[0] ?? path.join(__dirname, '..', '..')), port: Number(values.port) };
  } catch (err) {
    console.error(`${err.message}\n${USAGE}`);
    process.exit(2);
  }
}

function directory(name) {
  if (!fs.statSync(name, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`no directory: ${name}`);
  return fs.realpathSync(name);
}

module.exports = { readOptions };
