'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');

const USAGE =
  'usage: npm start -- [dir] [--port N]    (dir: this repository, port: 8080; 0 takes any free port)';

/**
 * The command line of an example. Ends the process, with the usage and code 2, if it makes no sense.
 * @param {string[]} args
 * @param {{ name?: string, defaultPort?: number }} [example] without a name: examples/http.js, as `npm start` runs it
 * @returns {{ root: string, port: number }} `root` is a real path
 */
function readOptions(args, { name, defaultPort = 8080 } = {}) {
  const usage = name
    ? USAGE.replace('npm start --', `npm run example -- ${name}`).replace('8080', String(defaultPort))
    : USAGE;
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        port: { type: 'string', default: String(defaultPort) },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    if (positionals.length > 1) throw new Error(`one directory, not ${positionals.length}`);
    if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65535)
      throw new Error(`no port: ${values.port}`);
    return { root: directory(positionals[0] ?? path.join(__dirname, '..', '..')), port: Number(values.port) };
  } catch (err) {
    console.error(`${err.message}\n${usage}`);
    process.exit(2);
  }
}

function directory(name) {
  if (!fs.statSync(name, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`no directory: ${name}`);
  return fs.realpathSync(name);
}

module.exports = { readOptions };
