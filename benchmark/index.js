'use strict';

/**
 * `npm run bench [-- --quick]`: this package beside everything else that sends files, on this machine. `-- --help` has what
 * can be chosen. `-- --charts FILE` draws a result, `-- --profile` shows where a server's time goes.
 */

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { contendersOf } = require('./lib/contenders');
const { makeDirectory } = require('./lib/data');
const { judge } = require('./lib/judge');
const { describeMachine } = require('./lib/machine');
const { stepAside } = require('./lib/processes');
const { bytesOf } = require('./lib/sizes');
const { ratios, series, spread } = require('./lib/statistics');
const { cellTable, targetTable } = require('./lib/table');
const TARGETS = require('./targets');

const RESULTS = path.join(__dirname, 'results');
const SCENARIOS = fs
  .readdirSync(path.join(__dirname, 'scenarios'))
  .map((name) => require(`./scenarios/${name}`));

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  contenders: { type: 'string' },
  sizes: { type: 'string' },
  connections: { type: 'string' },
  clients: { type: 'string' },
  rounds: { type: 'string' },
  out: { type: 'string' },
  charts: { type: 'string' },
  profile: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};
const HELP = `npm run bench -- [options]
  --quick              everything in under a minute: enough to see that it runs
  --only c,e           these scenarios: ${SCENARIOS.map(({ id, title }) => `${id} (${title})`).join(', ')}
  --contenders a,b     these contenders: the names of benchmark/contenders
  --sizes 1k,64k       these sizes, in c and --profile
  --connections 1,32   these numbers of connections, in c and --profile
  --clients 1000       these numbers of slow readers, in e
  --rounds 9           so many rounds
  --out FILE           the result's place; else benchmark/results/DATE.json
  --charts FILE        no measurement: draws a result's charts beside it
  --profile            no comparison: flame graphs of a server under load, in benchmark/results`;

function readOptions(argv) {
  const { values } = parseArgs({ args: argv, options: OPTIONS });
  const list = (name) => values[name]?.split(',');
  const whole = (name) =>
    list(name)?.map((text) => {
      if (/^[1-9]\d*$/.test(text)) return Number(text);
      throw new Error(`--${name} takes whole numbers above 0: ${text}`);
    });
  const options = {
    ...values,
    only: list('only') ?? SCENARIOS.map(({ id }) => id),
    contenders: list('contenders'),
    sizes: list('sizes'),
    connections: whole('connections'),
    clients: whole('clients'),
    rounds: whole('rounds')?.[0],
  };
  options.sizes?.forEach(bytesOf);
  const unknown = options.only.find((id) => !SCENARIOS.some((scenario) => scenario.id === id));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: there is no such scenario`);
  return options;
}

/** Runs what was chosen: the result as it is written to disk. */
async function run(options) {
  stepAside();
  const directory = makeDirectory();
  const result = {
    format: 1,
    date: new Date().toISOString(),
    quick: options.quick,
    machine: describeMachine(directory),
    leftOut: {},
    notes: [],
    scenarios: [],
  };
  console.log(`${result.machine.cpu}, ${result.machine.cores} cores, Linux ${result.machine.kernel}`);
  console.log(`Node ${result.machine.versions.node}, load by ${result.machine.versions.load}`);
  if (result.machine.busyBefore > 0.5) {
    console.log(
      `This machine is busy (load ${result.machine.busyBefore.toFixed(1)}): figures will be rough.`,
    );
  }
  for (const scenario of SCENARIOS.filter(({ id }) => options.only.includes(id))) {
    await runOne(scenario, { options, directory, result });
  }
  return result;
}

const began = performance.now();
const clock = () => {
  const seconds = Math.round((performance.now() - began) / 1000);
  return `[${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}]`;
};

/** The line at the bottom that says what is going on; without a terminal a line for each step. */
function progress(text, step) {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${clock()} ${text}`);
  else if (step) console.log(`${clock()} ${text}`);
}

function print(text) {
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  console.log(text);
}

/** Each contender's medians with their quartiles, and those of its ratios to the baseline. */
function summaryOf({ columns, baseline, main }, { rounds }) {
  return Object.fromEntries(
    Object.entries(rounds).map(([id, played]) => {
      const figures = columns.map(({ metric }) => [metric, spread(series(played, metric))]);
      const ratio = spread(ratios(played, rounds[baseline], main));
      return [id, { ...Object.fromEntries(figures), [`${main} / ${baseline}`]: ratio }];
    }),
  );
}

/** As JSON: six digits say all that a measurement knows. */
const textOf = (result) =>
  JSON.stringify(
    result,
    (_key, value) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value),
    1,
  );

async function runOne(scenario, { options, directory, result }) {
  const { id, title, baseline, main, columns } = scenario;
  print(`\n== ${id}: ${title}`);
  const leaveOut = (contender, reason) => {
    if (result.leftOut[contender.id] === undefined) print(`${contender.title} is left out: ${reason}`);
    result.leftOut[contender.id] ??= reason;
  };
  const contenders = contendersOf(id, options.contenders).filter((contender) => {
    const available = contender.available();
    if (available !== true) leaveOut(contender, available);
    return available === true;
  });
  for (const { id: name, version } of contenders) {
    if (version) result.machine.versions[name] = version;
  }
  const titles = Object.fromEntries(contenders.map((contender) => [contender.id, contender.title]));
  const record = { id, title, baseline, main, columns, titles, cells: [] };
  result.scenarios.push(record);
  await scenario.run({
    options,
    directory,
    contenders,
    fail: leaveOut,
    say: (text) => progress(`${id}: ${text}`, true),
    turn: (what, rounds) => (name, round) => {
      const which = round < 0 ? 'warming up' : `round ${round + 1} of ${rounds}`;
      progress(`${id}: ${what}, ${which}: ${titles[name]}`, name === contenders[0]?.id && round === 0);
    },
    note(text) {
      print(`${id}: ${text}`);
      result.notes.push(`${id}: ${text}`);
    },
    cell(cell) {
      record.cells.push({ ...cell, summary: summaryOf(record, cell) });
      print(cellTable(record, cell));
    },
  });
}

/** Options; what cannot be understood ends this, with what can. */
function understand(argv) {
  try {
    const options = readOptions(argv);
    contendersOf('c', options.contenders);
    return options;
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

async function main(argv) {
  const options = understand(argv);
  if (options.help) return console.log(HELP);
  if (options.charts) return require('./charts').draw(options.charts);
  if (process.platform !== 'linux') {
    throw new Error(`CPU time is read from Linux's /proc: nothing is measured on ${process.platform}`);
  }
  if (options.profile) return require('./profile').profile(options);
  const result = await run(options);
  result.seconds = Math.round((performance.now() - began) / 1000);
  result.targets = judge(TARGETS, result);
  if (result.targets.length > 0) print(`\n${targetTable(result.targets)}`);
  const name = `${result.date.slice(0, 10)}${options.quick ? '-quick' : ''}.json`;
  const out = options.out ?? path.join(RESULTS, name);
  fs.mkdirSync(path.dirname(path.resolve(out)), { recursive: true });
  fs.writeFileSync(out, `${textOf(result)}\n`);
  const shown = path.relative(process.cwd(), out);
  console.log(`\n${clock()} written to ${shown}; its charts: npm run bench -- --charts ${shown}`);
}

// Their handlers of 'exit' end what was started and remove what was written.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

main(process.argv.slice(2)).then(
  () => process.exit(),
  (error) => {
    console.error(
      `\n${error.code?.startsWith('ERR_PARSE_ARGS') ? `${error.message}\n${HELP}` : error.stack}`,
    );
    process.exit(1);
  },
);
