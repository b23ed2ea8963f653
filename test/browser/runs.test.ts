import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { appendEvent } from '../../db/events.ts';
import { updateRun } from '../../db/runs.ts';
import { PHONE, eventually, pathOf, queryOf, startVisit, type Visit } from './visit.ts';

let visit: Visit;
let page: Page;
beforeAll(async () => {
  visit = await startVisit();
});
afterAll(() => visit.close());
afterEach(async () => {
  await page.context().close();
  expect(visit.complaints.splice(0)).toEqual([]);
});

const current = (): Promise<string | null> =>
  page.locator('tr.run-row.current a.open').textContent();

describe('the runs page', () => {
  test('keys move, select, open and compare', async () => {
    page = await visit.open('/');
    await page.keyboard.press('j');
    expect(await current()).toBe('emoji-night');
    await page.keyboard.press('j');
    expect(await current()).toBe('emoji-wide');
    await page.keyboard.press('k');
    await page.keyboard.press('k');
    expect(await current()).toBe('emoji-night');
    await page.keyboard.press('x');
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    expect(await page.locator('#picked').textContent()).toBe('2 selected');
    await page.keyboard.press('c');
    await page.waitForURL('**/compare?**');
    const { training, paused } = visit.seeded;
    expect(queryOf(page)).toMatchObject({ a: `${training}@10`, b: `${paused}@4` });
    await page.goBack();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/runs/${training}`);
  });

  test('one selected run is compared with its own beginning', async () => {
    page = await visit.open('/');
    await page.getByLabel('Select emoji-13 to compare').check();
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.waitForURL('**/compare?**');
    expect(queryOf(page)).toMatchObject({
      a: `${visit.seeded.done}@0`,
      b: `${visit.seeded.done}@13`,
    });
  });

  test('what is selected is in the address', async () => {
    page = await visit.open('/');
    await page.getByLabel('Select emoji-13 to compare').check();
    await page.getByLabel('Select emoji-wide to compare').check();
    await page.getByLabel('Select emoji-night to compare').check();
    await page.getByLabel('Select emoji-wide to compare').uncheck();
    const { training, done } = visit.seeded;
    expect(queryOf(page)).toEqual({ pick: `${training}.${done}` });
    await page.reload();
    expect(await page.locator('#picked').textContent()).toBe('2 selected');
    expect(await page.getByLabel('Select emoji-13 to compare').isChecked()).toBe(true);
    expect(await page.getByLabel('Select emoji-wide to compare').isChecked()).toBe(false);
  });

  test('the filter narrows, is in the address, and is cleared', async () => {
    page = await visit.open('/');
    await page.keyboard.press('/');
    // Letters are typed now, they are no keys.
    await page.keyboard.type('wide x?');
    expect(queryOf(page)).toEqual({ q: 'wide x?' });
    expect(await page.locator('tr.run-row:visible').count()).toBe(0);
    expect(await page.locator('.no-match').textContent()).toContain('wide x?');
    await page.getByRole('link', { name: 'Clear filters' }).click();
    expect(await page.locator('tr.run-row:visible').count()).toBe(5);
    expect(pathOf(page)).toBe('/');
    await page.keyboard.type('night');
    await page.reload();
    expect(await page.locator('tr.run-row:visible').allTextContents()).toHaveLength(1);
    expect(await page.locator('#filter').inputValue()).toBe('night');
  });

  test('letter keys can be switched off, and the help lists them', async () => {
    page = await visit.open('/');
    await page.keyboard.press('?');
    const dialog = page.getByRole('dialog');
    expect(await dialog.textContent()).toContain('Select the run to compare');
    await dialog.getByLabel('Letter keys are on').uncheck();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.keyboard.press('j');
    expect(await page.locator('tr.run-row.current').count()).toBe(0);
    // Those that are no letters stay.
    await page.keyboard.press('/');
    expect(await page.locator('#filter:focus').count()).toBe(1);
  });

  test('follows the record without touching selection or scroll', async () => {
    page = await visit.open('/', { viewport: { width: 1200, height: 300 } });
    await page.getByLabel('Select emoji-13 to compare').check();
    await page.mouse.wheel(0, 120);
    await eventually(
      'scrolled',
      async () => (await page.locator(':root').evaluate((root) => root.scrollTop)) > 0,
    );
    const before = await page.locator(':root').evaluate((root) => root.scrollTop);
    const { paused } = visit.seeded;
    updateRun(visit.db, paused, { state_reason: 'paused by a test' });
    appendEvent(visit.db, { run: paused, kind: 'state', message: 'paused by a test' });
    await page.locator('#main').getByText('paused by a test').waitFor();
    expect(await page.getByLabel('Select emoji-13 to compare').isChecked()).toBe(true);
    expect(await page.locator('#picked').textContent()).toBe('1 selected');
    expect(await page.locator(':root').evaluate((root) => root.scrollTop)).toBe(before);
  });

  test('is cards on a phone', async () => {
    page = await visit.open('/', { viewport: PHONE, hasTouch: true });
    const row = page.locator('tr.run-row').first();
    expect(
      await row.evaluate(
        (element) => element.ownerDocument.defaultView.getComputedStyle(element).display,
      ),
    ).toBe('grid');
    expect(await row.textContent()).toContain('11 of 13');
  });
});

test('an empty record says what to do, and shows the first run by itself', async () => {
  const empty = await startVisit({ empty: true });
  try {
    page = await empty.open('/');
    expect(await page.getByText('npm run demo').isVisible()).toBe(true);
    expect(empty.complaints).toEqual([]);
  } finally {
    await empty.close();
  }
});
