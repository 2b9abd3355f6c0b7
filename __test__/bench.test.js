'use strict';

/** The benchmark: what it makes of figures, and that it runs, ends and leaves nothing. */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { check } = require('../benchmark/lib/check');
const { allContenders, contendersOf } = require('../benchmark/lib/contenders');
const { flameGraph } = require('../benchmark/lib/flame');
const { judge } = require('../benchmark/lib/judge');
const { complaint, parseAutocannon, parseWrk } = require('../benchmark/lib/load');
const { cpuBetween, cpuOf, family, has, launch } = require('../benchmark/lib/processes');
const { takeTurns } = require('../benchmark/lib/rounds');
const { parseCpuProfile, parsePerf } = require('../benchmark/lib/stacks');
const { differences, ratios, spread } = require('../benchmark/lib/statistics');
const { cellTable, targetTable } = require('../benchmark/lib/table');
const TARGETS = require('../benchmark/targets');
const { pattern, readAll, root, tmpFile, tmpPath, until } = require('./helpers');
const { httpServer } = require('./http-client');

const rounds = (metric, ...values) => values.map((value) => ({ [metric]: value }));

describe('figures', () => {
  test('a spread is the median and the quartiles, of what is a number', () => {
    expect(spread([4, 1, 3, 2, 5])).toEqual({ median: 3, low: 2, high: 4, n: 5 });
    expect(spread([1, 2, 3, 4])).toEqual({ median: 2.5, low: 1.75, high: 3.25, n: 4 });
    expect(spread([7, null, undefined, Number.NaN])).toEqual({ median: 7, low: 7, high: 7, n: 1 });
    expect(spread([null])).toBe(null);
  });

  test('a ratio is one of each round: a slow round of both does not count', () => {
    const ours = rounds('cpu', 10, 100, 12);
    const theirs = rounds('cpu', 20, 200, 24);
    expect(ratios(ours, theirs, 'cpu')).toEqual([0.5, 0.5, 0.5]);
    expect(differences(ours, theirs, 'cpu')).toEqual([-10, -100, -12]);
  });

  test('a round that one of two has not played makes no ratio', () => {
    expect(ratios(rounds('cpu', 1, 2, null), rounds('cpu', 4), 'cpu')).toEqual([0.25]);
    expect(ratios(rounds('cpu', 1), undefined, 'cpu')).toEqual([]);
    expect(ratios(rounds('cpu', 1), rounds('cpu', 0), 'cpu')).toEqual([]);
  });

  test('below a floor there is no difference', () => {
    expect(ratios(rounds('ms', 0.9, 6), rounds('ms', 0, 2), 'ms', { floor: 1 })).toEqual([1, 3]);
  });

  test('contenders take turns; one that fails is out of the rest, with its reason', async () => {
    const order = [];
    const played = await takeTurns({
      names: ['a', 'b', 'c'],
      rounds: 2,
      warmUps: 1,
      async play(name, round) {
        order.push(`${name}${round}`);
        if (name === 'b' && round === 0) throw new Error('broken');
        return { figure: round, errors: name === 'c' ? '1 timeout' : '' };
      },
    });
    expect(order).toEqual(['a-1', 'b-1', 'c-1', 'a0', 'b0', 'c0', 'a1', 'c1']);
    expect(played.rounds).toEqual({ a: rounds('figure', 0, 1), c: rounds('figure', 0, 1) });
    expect(played.failed).toEqual({ b: 'broken' });
    expect(played.errors).toEqual({ c: '1 timeout' });
  });

  test('out of time, no further round begins, and one is always played', async () => {
    const names = ['a', 'b'];
    const played = await takeTurns({ names, rounds: 5, limitMs: -1, play: async () => ({ figure: 1 }) });
    expect(played.rounds).toEqual({ a: rounds('figure', 1), b: rounds('figure', 1) });
  });
});

describe('targets', () => {
  const cell = (params, each) => ({ params, rounds: each, errors: {}, failed: {} });
  const one = (target, ...cells) => judge([target], { scenarios: [{ id: 'x', cells }] })[0];
  const cpu = (ours, theirs) => ({ ours: rounds('cpu', ...ours), theirs: rounds('cpu', ...theirs) });
  const target = { scenario: 'x', text: 'cpu', of: 'ours', metric: 'cpu' };

  test('a ratio, by the median of its rounds', () => {
    const all = cell({}, cpu([1, 2, 30], [2, 4, 3]));
    expect(one({ ...target, over: 'theirs', most: 0.5 }, all).reached).toBe(true);
    expect(one({ ...target, over: 'theirs', most: 0.49 }, all).reached).toBe(false);
    expect(one({ ...target, over: 'theirs', least: 0.5 }, all).reached).toBe(true);
    expect(one({ ...target, over: 'theirs', least: 0.51 }, all).reached).toBe(false);
  });

  test('it is reached only if every cell that it is about reaches it', () => {
    const good = cell({ size: '1k' }, cpu([1], [2]));
    const bad = cell({ size: '1m' }, cpu([3], [2]));
    const half = { ...target, over: 'theirs', most: 1 };
    expect(one(half, good, bad).reached).toBe(false);
    expect(one({ ...half, where: { size: '1k' } }, good, bad).reached).toBe(true);
    expect(one({ ...half, where: { size: ['1k', '1m'] } }, good, bad).measured).toHaveLength(2);
  });

  test('a difference, a plain figure, the best of several, a ratio over a ratio', () => {
    const all = cell({}, { ...cpu([6], [2]), better: rounds('cpu', 3), worse: rounds('cpu', 9) });
    const value = (how) => one({ ...target, most: 1, ...how }, all).measured[0].value;
    expect(value({ minus: 'theirs' })).toBe(4);
    expect(value({})).toBe(6);
    expect(value({ over: ['worse', 'better', 'missing'] })).toBe(2);
    expect(value({ over: 'theirs', against: ['worse', 'better'] })).toBe(1);
  });

  test('nothing measured is neither reached nor missed, and says so', () => {
    const alone = cell({}, { ours: rounds('cpu', 1) });
    const missing = one({ ...target, over: 'theirs', most: 1 }, alone);
    expect(missing).toMatchObject({ reached: null, why: 'not measured' });
    const elsewhere = one({ ...target, most: 1, elsewhere: 'a test' }, alone);
    expect(elsewhere).toMatchObject({ reached: null, why: 'measured by a test' });
    expect(targetTable([missing])).toMatch(/x cpu .* - {2,}not measured/);
  });

  test('every target names contenders, scenarios and metrics that there are', () => {
    const names = new Set(allContenders().map(({ id }) => id));
    for (const { scenario, of, over, minus, against, metric, elsewhere } of TARGETS.filter(
      (each) => each.of,
    )) {
      expect(elsewhere).toBe(undefined);
      for (const name of [of, over, minus, against].flat().filter((each) => each !== undefined)) {
        expect(names).toContain(name);
        expect(contendersOf(scenario).map(({ id }) => id)).toContain(name);
      }
      const [file] = fs
        .readdirSync(path.join(root, 'benchmark', 'scenarios'))
        .filter((name) => name.startsWith(scenario));
      const { columns } = require(`../benchmark/scenarios/${file}`);
      expect(columns.map((column) => column.metric)).toContain(metric);
    }
  });
});

describe('what programs print', () => {
  test('wrk, by its report', () => {
    const text = 'Running 1s test\n  2 threads\nrs-sendfile 1000 1234567 500000 250 900 0 1 0 2 3\nDone\n';
    const result = parseWrk(text);
    expect(result).toMatchObject({ requests: 1000, bytes: 1234567, seconds: 0.5, p50Us: 250, p99Us: 900 });
    expect(complaint(result.errors)).toBe('1 read, 2 status, 3 timeout');
    expect(parseWrk('rs-sendfile 0 500 300000 0 0 0 0 0 0 0')).toMatchObject({ p50Us: null, p99Us: null });
    expect(() => parseWrk('unable to connect')).toThrow('unable to connect');
  });

  test('autocannon', () => {
    const result = parseAutocannon({
      ...{ requests: { total: 10 }, throughput: { total: 5000 }, latency: { p50: 2, p99: 7 } },
      ...{ errors: 3, timeouts: 1, non2xx: 4, duration: 1.5 },
    });
    expect(result).toMatchObject({ requests: 10, bytes: 5000, seconds: 1.5, p50Us: 2000, p99Us: 7000 });
    expect(complaint(result.errors)).toBe('2 connect, 4 status, 1 timeout');
  });

  test('perf and V8’s profiler, as one flame graph', () => {
    const perf = [
      'node 1 1.0: 1 cpu-clock: ',
      '\tffffffff81 do_sendfile+0x1 ([kernel.kallsyms])',
      '\t1234 [unknown] (/some/where/rs-sendfile.linux-x64-gnu.node)',
      '\t2345 JS:*answer /some/where/server.js:3:4+0x5 (/tmp/perf-1.map)',
      '\t3456 [unknown] ([unknown])',
    ].join('\n');
    const [{ frames }] = parsePerf(`${perf}\n\n`);
    expect(frames.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      'js answer server.js:3:4',
      'addon [rs-sendfile.linux-x64-gnu.node]',
      'kernel do_sendfile',
    ]);
    const call = (functionName, url = '') => ({ functionName, url, lineNumber: 1 });
    const [stack] = parseCpuProfile({
      nodes: [
        { id: 1, callFrame: call('(root)'), children: [2] },
        { id: 2, callFrame: call('answer', 'file:///some/where/server.js') },
      ],
      ...{ samples: [2, 2], timeDeltas: [5, 7] },
    });
    expect(stack).toEqual({ frames: [{ name: 'answer server.js:2', kind: 'js' }], weight: 12 });
    const svg = flameGraph('a <title>', [{ frames, weight: 3 }, stack]);
    expect(svg).toContain('<title>do_sendfile: 20.0 %</title>');
    expect(svg).toContain('a &lt;title&gt;');
    expect(svg).not.toContain('/some/where');
  });
});

describe('an answer', () => {
  const content = pattern(5000);

  test('that is the file gives its length on the connection, head and all', async () => {
    const file = tmpFile(content);
    const { server, port } = await httpServer((_req, res) => res.end(content));
    let written = 0;
    server.on('connection', (socket) => socket.on('close', () => (written = socket.bytesWritten)));
    const wire = await check(port, file, 'file');
    await until(() => written > 0, 'the end of the connection');
    expect(wire).toBe(written / 2); // it was asked for twice
  });

  test.each([
    [
      'with a wrong byte',
      (res) => res.end(Buffer.concat([content.subarray(1), Buffer.from('x')])),
      'not the file',
    ],
    ['too short', (res) => res.end(content.subarray(1)), 'not the file'],
    ['of another status', (res) => res.writeHead(500).end(content), 'answers 500'],
  ])('%s is refused', async (_name, answer, why) => {
    const file = tmpFile(content);
    const { port } = await httpServer((_req, res) => answer(res));
    await expect(check(port, file, 'file')).rejects.toThrow(why);
  });

  test('to a range has to be that range', async () => {
    const file = tmpFile(content);
    const { port } = await httpServer((_req, res) => res.writeHead(206).end(content.subarray(10, 21)));
    await check(port, file, 'file', { start: 10, end: 20 });
    await expect(check(port, file, 'file', { start: 11, end: 21 })).rejects.toThrow('not the file');
  });
});

test('every contender has the one signature', () => {
  const all = allContenders();
  expect(all.length).toBeGreaterThan(15);
  for (const { title, scenarios, available, start } of all) {
    expect(title).toMatch(/\S/);
    expect(scenarios).toMatch(/^[a-g]+$/);
    expect(available).toEqual(expect.any(Function));
    expect(start).toEqual(expect.any(Function));
  }
  for (const scenario of 'abcdefg') {
    const titles = contendersOf(scenario).map(({ title }) => title);
    expect(titles.length).toBeGreaterThan(2);
    expect(new Set(titles).size).toBe(titles.length);
  }
});

const why =
  os.platform() !== 'linux'
    ? `CPU time is read from Linux's /proc, this is ${os.platform()}`
    : process.execPath.includes(`${path.sep}.cache${path.sep}`)
      ? `once is enough, on the default Node, not on ${process.versions.node}`
      : null;
if (why) console.log(`bench.test.js: a run is left out: ${why}`);

(why ? describe.skip : describe)(`a run${why ? ` (left out: ${why})` : ''}`, () => {
  const SMALL = [
    '--quick',
    '--only',
    'c',
    '--sizes',
    '1k',
    '--connections',
    '2',
    '--contenders',
    'transfer,pipe',
  ];
  const bench = (args, env = {}) =>
    spawn(process.execPath, [path.join('benchmark', 'index.js'), ...args], {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  test('writes a result, which the charts are drawn from', async () => {
    const out = tmpPath('result.json');
    const run = async (args) => {
      const child = bench(args);
      const [text, complaints, [code]] = await Promise.all([
        readAll(child.stdout),
        readAll(child.stderr),
        once(child, 'close'),
      ]);
      expect([code, String(complaints)]).toEqual([0, '']);
      return String(text);
    };
    const text = await run([...SMALL, '--rounds', '1', '--out', out]);
    expect(text).toMatch(/sendfile\(res, path\) +\d/);
    const result = JSON.parse(fs.readFileSync(out, 'utf8'));
    expect(result).toMatchObject({ format: 1, quick: true, leftOut: {} });
    const [scenario] = result.scenarios;
    const [cell] = scenario.cells;
    expect(cell).toMatchObject({ params: { size: '1k', connections: 2 }, errors: {}, failed: {} });
    for (const id of ['transfer', 'pipe']) {
      expect(cell.rounds[id]).toHaveLength(1);
      expect(cell.rounds[id][0].requestsPerSecond).toBeGreaterThan(0);
      expect(cell.rounds[id][0].cpuUs).toBeGreaterThan(0);
    }
    expect(cell.summary.transfer.cpuUs).toMatchObject({ median: cell.rounds.transfer[0].cpuUs, n: 1 });
    expect(cell.summary.pipe['cpuUs / pipe'].median).toBe(1);
    expect(cellTable(scenario, cell)).toContain('createReadStream().pipe');
    // Nothing of the directory it ran in.
    expect(JSON.stringify(result)).not.toContain(os.tmpdir());

    await run(['--charts', out]);
    for (const chart of ['cpu', 'requests']) {
      const svg = fs.readFileSync(out.replace('.json', `-${chart}.svg`), 'utf8');
      expect(svg).toMatch(/^<svg /);
      expect(svg).toContain('prefers-color-scheme: dark');
      expect(svg).toContain('createReadStream().pipe');
    }
  });

  test('a server’s CPU time is that of all its processes', async () => {
    const burn = `
      while (process.cpuUsage().user < 300_000);
      console.log(JSON.stringify(process.cpuUsage()));
      process.stdin.resume().on('end', () => process.exit());`;
    const parent = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(burn)}],
      { stdio: 'inherit' });`;
    const program = launch([process.execPath, '-e', parent]);
    const { user, system } = await program.ask();
    const measured = cpuBetween({ exact: 0, ticks: 0 }, cpuOf(program.pid));
    program.child.stdin.end(); // both read it
    await program.ended;
    expect(measured).toBeGreaterThan((user + system) / 1000);
  });

  test.each(['SIGINT', 'SIGKILL'])('%s leaves no process behind', async (signal) => {
    const directory = tmpPath('bench');
    fs.mkdirSync(directory);
    // nginx ends its worker by itself, but only if it is told to end.
    const other = has('nginx') ? ['nginx', 'nginx: worker'] : ['pipe', 'pipe.js'];
    const args = ['--quick', '--only', 'c', '--sizes', '1k', '--contenders', `transfer,${other[0]}`];
    const child = bench(args, { TMPDIR: directory });
    child.stdout.resume();
    child.stderr.resume();
    const ended = once(child, 'exit');
    let all = [];
    await until(() => {
      all = family(child.pid).filter((pid) => pid !== child.pid);
      const commands = all.map(commandOf).join('\n');
      return commands.includes('transfer.js') && commands.includes(other[1]);
    }, 'both servers');
    child.kill(signal);
    await ended;
    await until(() => all.every((pid) => commandOf(pid) === ''), 'the end of all that it had started');
    if (signal === 'SIGINT') expect(fs.readdirSync(directory)).toEqual([]);
  });
});

/** The command line of a process; nothing if it has ended. */
function commandOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
