'use strict';

/** Targets and results: what was measured, and is it reached? */

const { differences, ratios, series, spread } = require('./statistics');

/**
 * @param {object[]} targets
 * @param {{ scenarios: object[] }} result
 * @returns {{ scenario: string, text: string, limit: string, measured: object[], reached: boolean | null, why?: string }[]}
 *   `reached` is null if nothing was measured
 */
function judge(targets, { scenarios }) {
  return targets
    .filter(({ scenario }) => scenarios.some(({ id }) => id === scenario))
    .map((target) => judgeOne(target, scenarios.find(({ id }) => id === target.scenario).cells));
}

function judgeOne(target, cells) {
  const { scenario, text, most, least, where = {}, elsewhere } = target;
  const limit = most === undefined ? `at least ${short(least)}` : `at most ${short(most)}`;
  const about = { scenario, text: `${scenario} ${text}`, limit };
  if (elsewhere) return { ...about, measured: [], reached: null, why: `measured by ${elsewhere}` };
  const matching = cells.filter(({ params }) =>
    Object.entries(where).every(([name, value]) => [value].flat().includes(params[name])),
  );
  const measured = matching.flatMap((cell) => {
    const figure = figureOf(target, cell);
    return figure
      ? [{ params: Object.values(cell.params).join(' x '), value: figure.median, ...figure }]
      : [];
  });
  if (measured.length === 0) return { ...about, measured, reached: null, why: 'not measured' };
  const reached = measured.every(({ value }) => (most === undefined ? value >= least : value <= most));
  return { ...about, measured, reached };
}

/** What a target is about, in one cell: `{ median, low, high, n }`; null if somebody it needs was not measured. */
function figureOf({ of, metric, over, minus, against, floor }, { rounds }) {
  const ours = rounds[of];
  if (!ours) return null;
  if (minus) return spread(differences(ours, rounds[minus], metric));
  if (Array.isArray(over))
    return spread(ratios(ours, rounds[bestOf(over, rounds, metric)], metric, { floor }));
  if (!over) return spread(series(ours, metric));
  const own = ratios(ours, rounds[over], metric, { floor });
  if (!against) return spread(own);
  const theirs = ratios(rounds[against[0]], rounds[against[1]], metric);
  return spread(own.map((value, i) => value / theirs[i]));
}

/** Whose median is lowest. */
function bestOf(names, rounds, metric) {
  const known = names.filter((name) => spread(series(rounds[name], metric)));
  const medianOf = (name) => spread(series(rounds[name], metric)).median;
  return known.sort((a, b) => medianOf(a) - medianOf(b))[0];
}

const short = (value) => String(Math.round(value * 100) / 100);

module.exports = { judge };
