'use strict';

/** For those who listen to the page, zoom into it, hold it in one hand or tell few colors apart. */

const { lose, show } = require('./scripted');

const STATES = ['empty', 'running', 'finished', 'failed', 'copied'];
const SCHEMES = { light: {}, dark: { dark: true } };

/** The texts on a page whose color stands out too little from what is behind them: less than 4.5 to 1. */
function faint() {
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const mix = (over, under, share) => over.map((value, i) => value * share + under[i] * (1 - share));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ancestors = (element) => (element ? [...ancestors(element.parentElement), element] : []);
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(({ nodeType, data }) => nodeType === 3 && data.trim() !== '');
    if (!own || !element.checkVisibility() || element.matches('script, style, template')) continue;
    let behind = [255, 255, 255];
    let opacity = 1;
    // What is half transparent shows what is behind it, text and ground alike.
    for (const each of ancestors(element)) {
      const { backgroundColor, opacity: own } = getComputedStyle(each);
      opacity *= Number(own);
      const { rgb, a } = parse(backgroundColor);
      behind = mix(rgb, behind, a * opacity);
    }
    const text = mix(parse(getComputedStyle(element).color).rgb, behind, opacity);
    const [high, low] = [light(text), light(behind)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.push(`${element.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return found;
}

describe.each(Object.entries(SCHEMES))('in %s colors', (_, look) => {
  test.each(STATES)('every text stands out: %s', async (state) => {
    const page = await show(state, look);
    expect(await page.evaluate(faint)).toEqual([]);
  });

  test('what is said of a lost connection stands out', async () => {
    const page = await show('running', look);
    await lose(page);
    const texts = await page.evaluate(faint);
    expect(texts.filter((text) => /server|lost/i.test(text))).toEqual([]);
  });
});

test('headings, lists and bars tell what the page has', async () => {
  const page = await show('running');
  expect(await page.locator('body').ariaSnapshot()).toMatch(
    new RegExp(
      [
        'heading "Transfers" \\[level=1\\]',
        'status: Live',
        'heading "Since the server started" \\[level=2\\]',
        'term: Running',
        'definition: "3"',
        'heading "Running" \\[level=2\\]',
        'list:',
        'heading "/debian-12.iso" \\[level=3\\]',
        'progressbar "Sent of /debian-12.iso"',
        'term: Method',
        'definition: sendfile',
        'heading "Finished" \\[level=2\\]',
      ].join('[\\s\\S]*'),
    ),
  );
});

test('a bar says how far it is', async () => {
  const page = await show('running');
  const bar = page.getByRole('progressbar', { name: 'Sent of /video/holiday.mp4' });
  expect(await bar.getAttribute('aria-valuetext')).toBe('312 MB of 734 MB');
  expect(await bar.evaluate(({ position }) => position)).toBeCloseTo(312 / 734);
  // One whose length nobody knows yet is not at 0 %.
  const unknown = page.getByRole('progressbar', { name: 'Sent of /backup/2024-11.tar.zst' });
  expect(await unknown.evaluate(({ position }) => position)).toBe(-1);
});

test('only the state of the connection is said unasked, and calmly', async () => {
  const page = await show('running');
  const regions = page.locator('[aria-live], [role="status"], [role="alert"], [role="log"], output');
  expect(await regions.evaluateAll((all) => all.map(({ id }) => id))).toEqual(['connection']);
  expect(await regions.getAttribute('role')).toBe('status');
});

describe('nothing stands out of a narrow page', () => {
  test.each(STATES)('%s', async (state) => {
    const page = await show(state);
    for (const width of [320, 390, 700, 960, 1000]) {
      await page.setViewportSize({ width, height: 800 });
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
      expect({ width, wide }).toEqual({ width, wide: width });
      // A row hides what stands out of it.
      const cut = await page
        .locator('li, li *')
        .evaluateAll((all) =>
          all
            .filter(
              (one) =>
                one.checkVisibility() &&
                one.getBoundingClientRect().right > one.closest('ol').getBoundingClientRect().right,
            )
            .map(({ textContent }) => textContent),
        );
      expect(cut).toEqual([]);
    }
  });
});

test('a row keeps its place in the document while its numbers change', async () => {
  const page = await show('running');
  const row = page.locator('#running li').nth(1);
  const handle = await row.elementHandle();
  page.store.progress([...page.store.running][1], { sent: 400e6 });
  await page.locator('#running li', { hasText: '400 MB of 734 MB' }).waitFor();
  expect(await row.evaluate((now, before) => now === before, handle)).toBe(true);
});
