/** What has to hold on every page: names, headings, contrast, width, size of targets. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRun, getRun, recipeOf } from '../../db/runs.ts';
import { inspectPage } from './inspect.ts';
import { PHONE, WIDE, startVisit, type Visit } from './visit.ts';

let visit: Visit;
let queued = '';
beforeAll(async () => {
  visit = await startVisit();
  const like = getRun(visit.db, visit.seeded.training);
  // A short name, and nothing to show yet.
  const row = { ...like, name: 'w', recipe: recipeOf(like), recipeHash: like.recipe_hash };
  queued = createRun(visit.db, row).id;
});
afterAll(() => visit.close());

const pages: [string, () => string][] = [
  ['runs', () => '/'],
  ['no match', () => '/?q=nothing'],
  ['a run', () => `/runs/${visit.seeded.training}`],
  ['a run that waits', () => `/runs/${queued}`],
  ['a failed run', () => `/runs/${visit.seeded.failed}`],
  ['a hostile run', () => `/runs/${visit.seeded.hostile}`],
  ['compare', () => `/compare?a=${visit.seeded.done}@10&b=${visit.seeded.training}@10`],
  [
    'compare, slider',
    () => `/compare?a=${visit.seeded.done}@10&b=${visit.seeded.done}@13&mode=slider`,
  ],
  [
    'compare, difference',
    () => `/compare?a=${visit.seeded.done}@10&b=${visit.seeded.done}@13&mode=difference`,
  ],
  ['compare, grid', () => `/compare?a=${visit.seeded.done}@10&b=${visit.seeded.done}@13&mode=grid`],
  [
    'compare, grid, hostile',
    () => `/compare?a=${visit.seeded.hostile}@0&b=${visit.seeded.hostile}@1&mode=grid`,
  ],
];

describe.each([
  ['wide', WIDE, false],
  ['narrow', PHONE, true],
] as const)('%s', (_width, viewport, touch) => {
  describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
    test.each(pages)('%s', async (_name, path) => {
      const page = await visit.open(path(), { viewport, colorScheme, hasTouch: touch });
      await page.waitForTimeout(300);
      const found = await inspectPage(page);
      await page.context().close();
      expect(found.sideways).toEqual([]);
      expect(found.unnamed).toEqual([]);
      expect(found.headings).toEqual([]);
      expect(found.faint).toEqual([]);
      expect(found.duplicateIds).toEqual([]);
      if (touch) expect(found.small).toEqual([]);
      expect(visit.complaints.splice(0)).toEqual([]);
    });
  });
});

test('a run without pictures takes no more room than one with', async () => {
  const page = await visit.open('/');
  const heights = await page
    .locator('tr.run-row')
    .evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
  await page.context().close();
  expect(heights).toHaveLength(6);
  expect(Math.max(...heights)).toBeLessThan(100);
});

test('the inspection sees what is planted', async () => {
  const page = await visit.open('/', { viewport: PHONE });
  // Our own pages let no inline style in.
  await page.goto('about:blank');
  await page.setContent(`
    <h1>One</h1><h1>Two</h1><h3>Skipped</h3>
    <button></button><input type="text" /><img src="x" />
    <p style="color: #aaa; background: #fff">faint words</p>
    <p id="twice">a</p><p id="twice">b</p>
    <button style="width: 20px; height: 20px">x</button>
    <div style="width: 900px">wide</div>`);
  const found = await inspectPage(page);
  await page.context().close();
  visit.complaints.length = 0;
  expect(found.sideways.length).toBeGreaterThan(0);
  expect(found.unnamed).toHaveLength(3);
  expect(found.headings).toHaveLength(2);
  expect(found.faint).toHaveLength(1);
  expect(found.duplicateIds).toEqual(['twice']);
  expect(found.small.length).toBeGreaterThan(1);
});

describe('themes', () => {
  test('are chosen in the help and kept', async () => {
    const page = await visit.open('/', { colorScheme: 'light' });
    const ground = (): Promise<string> =>
      page
        .locator('body')
        .evaluate((body) => body.ownerDocument.defaultView.getComputedStyle(body).backgroundColor);
    const light = await ground();
    await page.keyboard.press('?');
    await page.getByLabel('Dark').check();
    const dark = await ground();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await ground()).toBe(dark);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.keyboard.press('?');
    await page.getByLabel('As the system').check();
    expect(await ground()).toBe(dark);
    await page.emulateMedia({ colorScheme: 'light' });
    expect(await ground()).toBe(light);
    await page.context().close();
  });
});
