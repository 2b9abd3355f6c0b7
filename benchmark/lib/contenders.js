'use strict';

/** The contenders: a file each, all with one signature. */

const fs = require('node:fs');
const path = require('node:path');

const directory = path.join(__dirname, '..', 'contenders');

/**
 * @typedef {object} Contender
 * @property {string} id its file's name
 * @property {string} title
 * @property {string} [version] where it is no package that npm has installed
 * @property {string} scenarios the letters of those it takes part in
 * @property {() => true | string} available or why it is not, and how it is had
 * @property {(context: any) => Promise<any>} start a `Program`, which has a pid and can be stopped
 */

/** @returns {Contender[]} ours first, so that the tables begin with it */
function allContenders() {
  const names = fs.readdirSync(directory).map((name) => path.basename(name, '.js'));
  const rank = (name) => (name === 'transfer' ? 0 : name.startsWith('register') ? 1 : 2);
  names.sort((a, b) => rank(a) - rank(b));
  return names.map((id) => ({ id, ...require(path.join(directory, id)) }));
}

/** Those of a scenario, or the chosen ones of them. */
function contendersOf(scenario, chosen) {
  const all = allContenders();
  const unknown = chosen?.find((name) => !all.some(({ id }) => id === name));
  if (unknown !== undefined) throw new Error(`--contenders ${unknown}: there is no such contender`);
  return all.filter(({ id, scenarios }) => scenarios.includes(scenario) && (chosen?.includes(id) ?? true));
}

module.exports = { allContenders, contendersOf };
