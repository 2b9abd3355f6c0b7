'use strict';

/** A headless Chromium, and pages in it that tell what went wrong in them. Everything ends with its test. */

const { chromium } = require('playwright-core');
const { npmStart } = require('../npm-start');

/** Dims what differs from one graphics card, screen or font setting to another. */
const ARGS = [
  '--disable-gpu',
  '--disable-lcd-text',
  '--font-render-hinting=none',
  '--force-color-profile=srgb',
  '--hide-scrollbars',
];

let browser;
const contexts = new Set();
const servers = new Set();

beforeAll(async () => {
  const { ensureChromium } = require('../../scripts/ensure-chromium');
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? ensureChromium(),
    // Chromium's sandbox refuses to be root's.
    chromiumSandbox: process.getuid() !== 0,
    args: ARGS,
  });
});

afterEach(async () => {
  await Promise.all([...contexts].map((context) => context.close()));
  contexts.clear();
  await Promise.all([...servers].map((server) => server.stop()));
  servers.clear();
});

afterAll(() => browser?.close());

/**
 * Opens this address: the page, with `problems` (whatever the browser complains of) and `requests` (all addresses).
 * `still`: time stands in it.
 */
async function open(url, { width = 1200, height = 800, dark = false, still = false } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'UTC',
  });
  contexts.add(context);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const problems = [];
  const requests = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('dialog', (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
  });
  page.on('request', (request) => requests.push(request.url()));
  if (still) {
    await page.clock.install({ time: 0 });
    await page.clock.pauseAt(1000);
  }
  await page.goto(url);
  return Object.assign(page, { problems, requests });
}

/** `npm start`, until the test is over. */
async function serve(directory, options) {
  const server = await npmStart(directory, options);
  servers.add(server);
  return server;
}

/** The page has heard from the server. */
const live = (page) => page.locator('#connection[data-state="live"]').waitFor();

/** The row of the newest transfer of this path, in `running` or `over`. */
const row = (page, section, path) =>
  page
    .locator(`#${section} li`)
    .filter({ has: page.getByRole('heading', { name: path, exact: true }) })
    .first();

/** What stands at a place of a row. */
const text = (where, name) => where.locator(`[data-is="${name}"]`).textContent();

/** Waits until a total reads so. */
const total = (page, name, value) => page.locator(`[data-total="${name}"]`, { hasText: value }).waitFor();

module.exports = { open, serve, live, row, text, total };
