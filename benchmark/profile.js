'use strict';

/**
 * `npm run bench -- --profile`: where a server's time goes under load, as a flame graph for each size. By perf, which
 * sees the kernel, the addon and JavaScript; where perf may not look, by Node's own profiler, which sees JavaScript.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { contendersOf } = require('./lib/contenders');
const { makeDirectory, makeFile } = require('./lib/data');
const { flameGraph } = require('./lib/flame');
const { load } = require('./lib/load');
const { catches, freePort, has, launch, stepAside } = require('./lib/processes');
const { spoken } = require('./lib/sizes');
const { parsePerf, parseCpuProfile } = require('./lib/stacks');

const RESULTS = path.join(__dirname, 'results');
const CLOCK = ['-e', 'cpu-clock', '-F', '997', '-g'];

/** @param {any} options */
async function profile({ sizes = ['1k', '64k', '1m'], connections = [32], contenders, quick }) {
  stepAside();
  const directory = makeDirectory();
  const ms = quick ? 1000 : 5000;
  const refusal = whyNoPerf(directory);
  if (refusal) console.log(`perf is not used: ${refusal}. Node's profiler sees JavaScript only.`);
  const take = refusal ? byNode : byPerf;
  fs.mkdirSync(RESULTS, { recursive: true });
  for (const size of sizes) makeFile(directory, size);
  for (const contender of contendersOf('c', contenders ?? ['transfer'])) {
    const available = contender.available();
    if (available !== true) {
      console.log(`${contender.title} is left out: ${available}`);
      continue;
    }
    for (const size of sizes) {
      console.log(`${contender.title}, ${spoken(size)}, ${connections[0]} connections`);
      const what = { contender, directory, size, connections: connections[0], ms };
      const stacks = await take(what);
      const title = `${contender.title}: ${spoken(size)}, ${connections[0]} connections, ${refusal ? 'by Node' : 'by perf'}`;
      const place = path.join(RESULTS, `profile-${contender.id}-${size}.svg`);
      fs.writeFileSync(place, flameGraph(title, stacks));
      console.log(`drawn: ${path.relative(process.cwd(), place)}`);
    }
  }
}

/** Why perf gives nothing here; nothing if it does. */
function whyNoPerf(directory) {
  if (!has('perf')) return 'not on PATH: apt-get install linux-perf';
  const args = ['record', ...CLOCK, '-o', path.join(directory, 'try.data'), '--', 'true'];
  const { status, stderr } = spawnSync('perf', args, { encoding: 'utf8' });
  return status === 0 ? undefined : stderr.trim().split('\n')[0];
}

async function serve({ contender, directory, size, connections }, nodeArgs) {
  const port = await freePort();
  // V8 logs into the directory that it runs in.
  const program = await contender.start({ root: directory, directory, cwd: directory, port, nodeArgs });
  await load({ port, path: size, connections, ms: 1500 }); // compiled by now
  return { port, program };
}

async function byPerf(what) {
  const { port, program } = await serve(what, ['--perf-basic-prof', '--interpreted-frames-native-stack']);
  const data = path.join(what.directory, 'perf.data');
  const perf = launch(['perf', 'record', ...CLOCK, '-o', data, '-p', String(program.pid)]);
  await catches(perf, 'SIGINT');
  await load({ port, path: what.size, connections: what.connections, ms: what.ms });
  await perf.stop('SIGINT');
  const { stdout } = spawnSync('perf', ['script', '-i', data], { encoding: 'utf8', maxBuffer: 2 ** 30 });
  await program.stop();
  fs.rmSync(`/tmp/perf-${program.pid}.map`, { force: true }); // Node's names of JavaScript for perf
  return parsePerf(stdout);
}

async function byNode(what) {
  const { directory } = what;
  const place = fs.mkdtempSync(path.join(directory, 'prof-'));
  const { port, program } = await serve(what, ['--cpu-prof', '--cpu-prof-dir', place]);
  await load({ port, path: what.size, connections: what.connections, ms: what.ms });
  program.child.stdin.end(); // it writes as it ends by itself
  await program.ended;
  const [name] = fs.readdirSync(place);
  if (!name) throw new Error(`${what.contender.title} leaves no profile: it is no server of Node`);
  return parseCpuProfile(JSON.parse(fs.readFileSync(path.join(place, name), 'utf8')));
}

module.exports = { profile };
