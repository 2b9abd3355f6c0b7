'use strict';

/** The value below which this part of them lies, between two neighbours in proportion. */
function quantile(values, part) {
  const sorted = values.toSorted?.((a, b) => a - b) ?? [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** `{ median, low, high, n }`: `low` and `high` are the quartiles. Values that are no numbers do not count. */
function spread(values) {
  const known = values.filter((value) => Number.isFinite(value));
  if (known.length === 0) return null;
  return {
    median: quantile(known, 0.5),
    low: quantile(known, 0.25),
    high: quantile(known, 0.75),
    n: known.length,
  };
}

/** One metric of a contender, round by round. */
const series = (rounds, metric) => (rounds ?? []).map((round) => round[metric]);

/**
 * Round by round, one contender's figure over the other's. They are neighbours in time: what slowed one round of a pair
 * most likely slowed the other.
 * @param {object} [how]
 * @param {number} [how.floor] lower figures count as so much: below it the difference is noise
 */
function ratios(ours, theirs, metric, { floor = 0 } = {}) {
  const [one, other] = [series(ours, metric), series(theirs, metric)];
  return one.flatMap((value, i) => {
    if (!Number.isFinite(value) || !Number.isFinite(other[i])) return [];
    const ratio = Math.max(value, floor) / Math.max(other[i], floor);
    return Number.isFinite(ratio) ? [ratio] : [];
  });
}

/** Round by round, how much more the one has than the other. */
function differences(ours, theirs, metric) {
  const [one, other] = [series(ours, metric), series(theirs, metric)];
  return one.flatMap((value, i) => (Number.isFinite(value - other[i]) ? [value - other[i]] : []));
}

module.exports = { quantile, spread, series, ratios, differences };
