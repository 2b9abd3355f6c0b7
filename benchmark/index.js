'use strict';

/** `npm run bench [-- --quick]`: every comparison there is, one after the other. */

const { parseArgs } = require('node:util');

const COMPARISONS = [require('./pass')];

async function main() {
  const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
  for (const compare of COMPARISONS) await compare({ quick: values.quick });
}

main().catch((err) => {
  console.error(err);
  process.exitCode = 1;
});
