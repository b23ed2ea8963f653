import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { eventually, startVisit, type Visit } from './visit.ts';

let visit: Visit;
beforeAll(async () => {
  visit = await startVisit();
  const copy = visit.db.raw.prepare(
    `INSERT INTO sample (id, run, epoch, step, prompt, seed, sampler, sampling_steps, guidance, width,
       height, weights, checkpoint, artifact, request, created_at)
     SELECT 'many-' || ? || '-' || id, run, ?, ?, prompt, seed, sampler, sampling_steps, guidance,
       width, height, weights, checkpoint, artifact, NULL, created_at
     FROM sample WHERE run = ? AND epoch = 13`,
  );
  for (let epoch = 14; epoch < 126; epoch += 1) {
    copy.run(String(epoch), epoch, epoch * 150, visit.seeded.done);
  }
});
afterAll(() => visit.close());

/** The prompts stand above whichever rows are in view. */
const expectStickyHeader = async (page: Page): Promise<void> => {
  const grid = await page.locator('table.grid').boundingBox();
  const head = await page.locator('table.grid thead').boundingBox();
  if (grid === null || head === null) throw new Error('no grid');
  const inGrid = grid.y < 0 && grid.y + grid.height > head.height;
  if (inGrid) expect(Math.round(head.y)).toBe(0);
};

test('a thousand pictures: 120 in the document at most, and all that are in view', async () => {
  const page = await visit.open(`/runs/${visit.seeded.done}`);
  expect(await page.locator('a[data-sample]').count()).toBe(126 * 8);
  const pictures = (): Promise<number> => page.evaluate<number>('document.images.length');
  const missing = (): Promise<number> =>
    page.evaluate<number>(`[...document.querySelectorAll('a[data-sample]')].filter((cell) => {
      const box = cell.getBoundingClientRect();
      return box.bottom > 0 && box.top < innerHeight && cell.firstElementChild === null;
    }).length`);
  // What is far from view is not even laid out, and its place is known all the same.
  const laidOut = (row: string): Promise<boolean> =>
    page
      .locator(`table.grid tbody tr:${row} a`)
      .first()
      .evaluate((cell) => cell.checkVisibility({ contentVisibilityAuto: true }));
  expect(await laidOut('last-child')).toBe(false);
  const height = await page.evaluate<number>('document.documentElement.scrollHeight');
  expect(height).toBeGreaterThan(10_000);
  for (let top = 0; top < height; top += 3_000) {
    await page.evaluate(`scrollTo(0, ${top})`);
    await eventually('pictures in view', async () => (await missing()) === 0);
    expect(await pictures()).toBeLessThanOrEqual(120);
    await expectStickyHeader(page);
  }
  expect(await laidOut('last-child')).toBe(true);
  // Coming and going moves nothing: cells keep their size.
  expect(await page.evaluate<number>('document.documentElement.scrollHeight')).toBe(height);
  await page.context().close();
  expect(visit.complaints).toEqual([]);
});
