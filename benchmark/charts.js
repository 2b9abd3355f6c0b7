'use strict';

/**
 * `npm run bench -- --charts FILE`: a result's charts, as SVG beside it. Each takes the colours of the page it stands on,
 * light or dark.
 */

const fs = require('node:fs');
const path = require('node:path');
const { digits } = require('./lib/table');
const { series, spread } = require('./lib/statistics');
const { bytesOf, spoken } = require('./lib/sizes');

/** Of the connections that were measured, the number that the charts show. */
const CONNECTIONS = 32;
const CHARTS = [
  { name: 'cpu', metric: 'cpuUs', title: 'Server CPU per request, µs', less: 'less is better' },
  { name: 'requests', metric: 'requestsPerSecond', title: 'Requests per second', less: 'more is better' },
];
/** Ours, ours in others' clothes, the best of elsewhere, and the rest of Node. */
const LOOKS = {
  transfer: { color: '#d4581a', width: 4 },
  'register-express': { color: '#e8924f', width: 2.5, type: 'dashed' },
  'register-serve-static': { color: '#e8924f', width: 2.5, type: 'dotted' },
  nginx: { color: '#1f8f4d', width: 2.5 },
  bun: { color: '#a05fd0', width: 2.5 },
  memory: { color: '#2f7fd4', width: 2.5 },
  express: { color: '#a07f45' },
  pipe: { color: '#7b899e' },
  pipeline: { color: '#7b899e', type: 'dashed' },
  'read-file': { color: '#7b899e', type: 'dotted' },
  'serve-static': { color: '#a07f45', type: 'dashed' },
  sirv: { color: '#c03a6b' },
  'fastify-static': { color: '#3aa6a6' },
};
const [WIDTH, HEIGHT] = [1000, 560];
const LABEL_WIDTH = 230;
/** Text and axes, and the lines behind them: as on a light page. */
const INK = '#1f2328';
const FAINT = '#d1d9e0';
const STYLE = `<style>
text { font-family: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  [fill="${INK}"] { fill: #e6edf3; }
  [stroke="${INK}"] { stroke: #e6edf3; }
  [stroke="${FAINT}"] { stroke: #3d444d; }
}
</style>`;

/** Draws what this result has; the files' names. */
function draw(file) {
  const result = JSON.parse(fs.readFileSync(file, 'utf8'));
  const scenario = result.scenarios.find(({ id }) => id === 'c');
  if (!scenario) throw new Error(`${path.basename(file)} has no scenario c, which the charts show`);
  return CHARTS.map((chart) => {
    const place = file.replace(/(\.json)?$/, `-${chart.name}.svg`);
    fs.writeFileSync(place, svgOf(chart, scenario, result));
    console.log(`drawn: ${path.relative(process.cwd(), place)}`);
    return place;
  });
}

/** One line for each contender, over the sizes. */
function svgOf({ metric, title, less }, scenario, { machine, date }) {
  const counts = scenario.cells.map(({ params }) => params.connections);
  const connections = counts.includes(CONNECTIONS) ? CONNECTIONS : counts[0];
  const cells = scenario.cells
    .filter(({ params }) => params.connections === connections)
    .sort((a, b) => bytesOf(a.params.size) - bytesOf(b.params.size));
  const lines = Object.entries(scenario.titles).flatMap(([id, name]) => {
    const values = cells.map(({ rounds }) => spread(series(rounds[id], metric))?.median ?? null);
    return values.some((value) => value !== null) ? [{ id, name, values }] : [];
  });
  const subtitle = `HTTP keep-alive over loopback, ${connections} connections, one server core; ${less}. ${machine.cpu}, Linux ${machine.kernel.split('-')[0]}, Node ${machine.versions.node}, ${date.slice(0, 10)}`;
  const svg = render({
    textStyle: { color: INK },
    title: {
      text: title,
      subtext: subtitle,
      textStyle: { color: INK, fontSize: 20 },
      subtextStyle: { color: INK, fontSize: 12 },
      left: 8,
    },
    grid: { left: 70, right: LABEL_WIDTH, top: 80, bottom: 40 },
    xAxis: {
      type: 'category',
      boundaryGap: false,
      data: cells.map(({ params }) => spoken(params.size)),
      axisLine: { lineStyle: { color: INK } },
      axisTick: { show: false },
      axisLabel: { color: INK, fontSize: 13, margin: 12 },
    },
    yAxis: {
      type: 'log',
      axisLabel: {
        ...{ color: INK, fontSize: 13, formatter: (value) => value.toLocaleString('en') },
        ...{ showMinLabel: false, showMaxLabel: false },
      },
      splitLine: { lineStyle: { color: FAINT } },
      ...limitsOf(lines),
    },
    series: lines.map(({ id, values }) => lineOf(LOOKS[id] ?? { color: INK }, values)),
    graphic: labels(lines, spoken(cells.at(-1).params.size)),
  });
  return svg.replace('>', `>${STYLE}`);
}

function lineOf({ color, width = 1.5, type = 'solid' }, data) {
  return {
    type: 'line',
    data,
    symbol: 'circle',
    symbolSize: width * 2 + 2,
    lineStyle: { color, width, type },
    itemStyle: { color },
    z: width,
  };
}

/** A little more than there is. */
function limitsOf(lines) {
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null));
  return { min: Math.min(...values) / 1.4, max: Math.max(...values) * 1.4 };
}

/** The names at the right, at the height where their lines end, or as near to it as the next name lets them. */
function labels(lines, where) {
  const [top, bottom] = [80, HEIGHT - 40];
  const { min, max } = limitsOf(lines);
  const last = ({ values }) => values.filter((value) => value !== null).at(-1);
  const height = (value) => bottom - ((bottom - top) * Math.log10(value / min)) / Math.log10(max / min || 1);
  const rows = lines.map((line) => ({ ...line, y: height(last(line)) })).sort((a, b) => a.y - b.y);
  const STEP = 17;
  for (let i = 1; i < rows.length; i++) rows[i].y = Math.max(rows[i].y, rows[i - 1].y + STEP);
  // What was pushed out at the bottom pushes back.
  for (let i = rows.length - 1, room = bottom - 6; i >= 0; i--, room -= STEP) {
    rows[i].y = Math.min(rows[i].y, room);
  }
  const text = (words, y, fill, bold) => ({
    type: 'text',
    left: WIDTH - LABEL_WIDTH + 12,
    top: y - 7,
    style: { text: words, fill, font: `${bold ? 'bold ' : ''}13px system-ui, sans-serif` },
  });
  return [
    text(`at ${where}:`, rows[0].y - STEP - 3, INK, false),
    ...rows.map((line) => {
      const { color, width = 1.5 } = LOOKS[line.id] ?? { color: INK };
      return text(`${line.name}  ${digits(last(line))}`, line.y, color, width > 2);
    }),
  ];
}

function render(option) {
  const echarts = require('echarts');
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption({ animation: false, backgroundColor: 'transparent', ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

module.exports = { draw };
