'use strict';

/** `npm run example -- NAME [dir] [--port N]`: whatever is missing, then examples/NAME.js. */

const path = require('node:path');
const { ensure } = require('./ensure');
const { followNpm } = require('./follow-npm');

const EXAMPLES = {
  http: 'a static file server on node:http, with a log of its transfers',
  express:
    'Express 5: a handler with a transfer; express.static, res.sendFile and res.download under register',
  koa: 'Koa: a handler with a transfer; koa-static and koa-send under register',
  fastify: 'Fastify 5: a handler with a transfer; @fastify/static and reply.send(stream) under register',
  download: 'a download that is cut off on purpose, resumes, and is checked; with a progress bar',
  ftp: 'a read-only FTP server: RETR is a transfer on the data connection',
  cluster: 'all cores: a worker for each, restarted if it dies',
};
/** What a framework itself needs. */
const NEEDS_NODE = { fastify: 20 };

function main([name, ...args]) {
  if (!Object.hasOwn(EXAMPLES, name ?? '')) return list(name);
  const needed = NEEDS_NODE[name] ?? 0;
  if (Number.parseInt(process.versions.node, 10) < needed) {
    console.error(`${name} needs Node ${needed} or newer; this is ${process.versions.node}.`);
    process.exit(1);
  }
  followNpm();
  ensure();
  const file = path.join(__dirname, '..', 'examples', `${name}.js`);
  // From here on as `node examples/NAME.js ...`.
  process.argv = [process.argv[0], file, ...args];
  require(file);
}

function list(name) {
  const wrong = name !== undefined && !/^(-h|--help)$/.test(name);
  const say = wrong ? console.error : console.log;
  if (wrong) say(`no example: ${name}`);
  say('usage: npm run example -- NAME [dir] [--port N]\n');
  for (const [one, what] of Object.entries(EXAMPLES)) say(`  ${one.padEnd(10)}${what}`);
  process.exitCode = wrong ? 2 : 0;
}

main(process.argv.slice(2));
