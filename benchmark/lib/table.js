'use strict';

/** Results for a terminal. */

const { ratios, series, spread } = require('./statistics');

/** Three digits that matter; `-` for what is not known. */
function digits(value) {
  if (value === undefined || value === null || !Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}

/** Columns under each other; the first is text, the others are numbers. */
function align(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const pad = (cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]));
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

const spokenParams = (params) =>
  Object.entries(params)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

/** One cell of a scenario: a row for each contender, the median of its rounds, and its ratio to the baseline. */
function cellTable({ id, baseline, main, columns, titles }, cell) {
  const shown = columns.filter(({ metric }) =>
    Object.values(cell.rounds).some((rounds) => spread(series(rounds, metric))),
  );
  const against = `${shown.find(({ metric }) => metric === main)?.title ?? main} / ${titles[baseline] ?? baseline}`;
  const head = [`${id}: ${spokenParams(cell.params)}`, ...shown.map(({ title }) => title), against];
  const rows = Object.entries(cell.rounds).map(([name, rounds]) => {
    const marked = cell.errors[name] ? '! ' : '';
    const medians = shown.map(({ metric }) => digits(spread(series(rounds, metric))?.median));
    const ratio = spread(ratios(rounds, cell.rounds[baseline], main));
    const text = ratio ? `${digits(ratio.median)} (${digits(ratio.low)}..${digits(ratio.high)})` : '-';
    return [`${marked}${titles[name]}`, ...medians, text];
  });
  const remarks = [...Object.entries(cell.errors), ...Object.entries(cell.failed)];
  return `\n${[align([head, ...rows]), ...remarks.map(([name, text]) => `! ${titles[name]}: ${text}`)].join('\n')}`;
}

/** What was to be reached, what was measured. */
function targetTable(judged) {
  const rows = judged.map(({ text, limit, measured, reached, why }) => {
    const figures = measured
      .map(({ params, value }) => `${digits(value)}${params ? ` (${params})` : ''}`)
      .join(', ');
    return [
      text,
      limit,
      reached === null ? '-' : reached ? 'reached' : 'NOT reached',
      figures || (why ?? 'not measured'),
    ];
  });
  const widths = [0, 1, 2].map((i) =>
    Math.max(...rows.map((row) => row[i].length), ['target', 'limit', ''][i].length),
  );
  return [['target', 'limit', '', 'measured'], ...rows]
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

module.exports = { digits, align, cellTable, targetTable };
