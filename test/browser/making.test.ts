/** The sample in the making: seen in its cell while it is made, replaced by the sample, and nothing moves. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { appendEvent } from '../../db/events.ts';
import { updateRun } from '../../db/runs.ts';
import { glance, preview, startTrainer, type MakingTrainer } from '../fixtures/making.ts';
import { addSamples, PROMPTS } from '../fixtures/seed-record.ts';
import { inspectPage } from './inspect.ts';
import { eventually, PHONE, startVisit, WIDE, type Visit } from './visit.ts';

let visit: Visit;
let page: Page;
let run: string;
let trainer: MakingTrainer;
let file: string;
beforeAll(async () => {
  visit = await startVisit();
  run = visit.seeded.training;
});
afterAll(() => visit.close());
beforeEach(async () => {
  trainer = startTrainer(visit.db, visit.home, run);
  file = join(trainer.folder, 'preview-p3.png');
  await glance(file);
});
afterEach(async () => {
  trainer.end();
  visit.db.raw.prepare(`DELETE FROM sample WHERE run = ? AND epoch > 10`).run(run);
  await page.context().close();
  expect(visit.complaints.splice(0)).toEqual([]);
});

/** Our own connection does not change its own data version: an event rings the bell. */
const ring = (message = 'something'): void => {
  appendEvent(visit.db, { run, kind: 'checkpoint', message });
};
const say = (...events: Parameters<MakingTrainer['say']>): void => {
  trainer.say(...events);
  ring();
};
const making = (table: string) => page.locator(`table.${table} .making`);
const looked = (table: string): Promise<boolean> =>
  making(table)
    .locator('img')
    .evaluateAll((images: unknown[]) =>
      (images as { complete: boolean; naturalWidth: number }[]).some(
        ({ complete, naturalWidth }) => complete && naturalWidth === 32,
      ),
    );
const sources = (table: string): Promise<string[]> =>
  making(table)
    .locator('img')
    .evaluateAll((images: { src: string }[]) => images.map(({ src }) => src));
const boxes = (): Promise<string> =>
  page.evaluate<string>(
    `JSON.stringify([...document.querySelectorAll('section, table.grid tr, table.grid td, table.strip')].map((element) => { const { top, width, height } = element.getBoundingClientRect(); return [element.id || element.className, Math.round(top + scrollY), Math.round(width), Math.round(height)]; }))`,
  );
/** Puts the grid's last row into view, and the page's end with it. */
const lookAtTheEnd = (): Promise<void> =>
  page.locator('table.grid tbody tr').last().scrollIntoViewIfNeeded();

test.each([
  ['wide', WIDE],
  ['narrow', PHONE],
])('is seen in its cell, step by step, until the sample is there: %s', async (_, viewport) => {
  page = await visit.open(`/runs/${run}`, { viewport });
  await lookAtTheEnd();
  await page.waitForTimeout(500);
  const before = await boxes();
  say(preview(file));
  await making('grid').getByText('sampling 6 of 20').waitFor();
  await eventually('the look', () => looked('grid'));
  const cell = page.locator('[data-cell="samples-11-1650-e/3"]').last();
  expect(await cell.locator('.making').count()).toBe(1);
  expect(await cell.getByAltText('Preview of star, epoch 11').count()).toBe(1);
  await making('strip').getByText('6 of 20', { exact: true }).waitFor();
  expect(await page.locator('table.strip tbody th').allTextContents()).toEqual(['0', '11']);
  const [first] = await sources('grid');

  await glance(file, '#c33');
  say(preview(file, { sampling_step: 13 } as object));
  await making('grid').getByText('sampling 13 of 20').waitFor();
  await eventually('another look', async () => (await sources('grid'))[0] !== first);
  // The strip has a row of another epoch now, of the same height.
  expect(await boxes()).toBe(before);
  const found = await inspectPage(page);
  expect([found.sideways, found.unnamed, found.faint, found.duplicateIds]).toEqual([
    [],
    [],
    [],
    [],
  ]);

  await rm(file);
  await addSamples(visit.db, visit.home, run, {
    epoch: 11,
    step: 1650,
    prompts: PROMPTS.slice(0, 4),
  });
  say({ event: 'done' });
  await eventually(
    'the sample',
    async () =>
      (await page.locator('table.grid [id="samples-11-1650-e"] a[data-sample]').count()) === 4,
  );
  await eventually('no look', async () => (await page.locator('.making').count()) === 0);
  expect(await page.locator('#new-samples').isVisible()).toBe(false);
  expect(await boxes()).toBe(before);
});

test('goes on to the next sample, and takes nothing along', async () => {
  page = await visit.open(`/runs/${run}`);
  say(preview(file));
  await eventually('the look', () => looked('grid'));
  const next = join(trainer.folder, 'preview-p4.png');
  say(preview(next, { prompt: 4, sampling_step: 1 } as object));
  await page.locator('[data-cell="samples-11-1650-e/4"] .making').last().waitFor();
  await eventually('one', async () => (await making('grid').count()) === 1);
  // Its file is not there yet: words alone.
  expect(await sources('grid')).toEqual([]);
  await glance(next);
  say(preview(next, { prompt: 4, sampling_step: 2 } as object));
  await eventually(
    'its own look',
    async () => (await sources('grid'))[0]?.includes('-11-4?at=2') === true,
  );
});

test('goes away with its trainer, and the place is as it was', async () => {
  page = await visit.open(`/runs/${run}`);
  say(preview(file), { event: 'progress', phase: 'samples', done: 3, total: 8 });
  await making('grid').waitFor();
  await page.locator('.page-head').getByText('sampled 3 of 8').waitFor();
  trainer.end();
  ring();
  await eventually('gone', async () => (await page.locator('.making').count()) === 0);
  expect(await page.locator('.page-head [data-field=doing]').textContent()).toBe('');
  expect(await page.locator('[inert]').count()).toBe(0);
});

test('on request has a row of its own, where that moves nothing; else the strip shows it', async () => {
  trainer.end();
  trainer = startTrainer(visit.db, visit.home, run, { stage: 'train' });
  page = await visit.open(`/runs/${run}`);
  await lookAtTheEnd();
  const before = await boxes();
  say(preview(file, { step: 1535 } as object));
  await making('strip').waitFor();
  await page.waitForTimeout(600);
  expect(await boxes()).toBe(before);
  await page.evaluate('scrollTo(0, 0)');
  say(preview(file, { step: 1535, sampling_step: 7 } as object));
  await page.locator('#samples-11-1535-r .making').getByText('sampling 7 of 20').waitFor();
  // Before the row of the epoch's end, as on the page when it is read anew.
  const rows = (): Promise<string[]> =>
    page
      .locator('table.grid tbody tr')
      .evaluateAll((all: { id: string }[]) => all.map(({ id }) => id));
  const live = await rows();
  await page.reload();
  await making('grid').waitFor();
  expect(await rows()).toEqual(live);
});

test('the planned memory is a table that fits a phone', async () => {
  const parts = [
    { name: 'weights', bytes: 3.44e9 },
    { name: 'a part with a name as long as a sentence of a dozen words or so', bytes: 6.9e9 },
  ];
  trainer.say({ event: 'memory', total_bytes: 10.34e9, available_bytes: 16e9, parts });
  page = await visit.open(`/runs/${run}`, { viewport: PHONE, hasTouch: true });
  await page.locator('#memory summary').click();
  await page.locator('table.memory').getByText('6.9 GB').waitFor();
  // Read anew, it stays open.
  trainer.say({ event: 'memory', total_bytes: 11e9, available_bytes: 16e9, parts });
  ring();
  await page.locator('table.memory').getByText('11 GB').waitFor();
  const { sideways, faint, headings, small } = await inspectPage(page);
  expect([sideways, faint, headings, small]).toEqual([[], [], [], []]);
  visit.db.raw.prepare('UPDATE launch SET memory = NULL').run();
});

test('moves only where motion is welcome', async () => {
  const animation = (): Promise<string> =>
    making('grid')
      .locator('img')
      .evaluate((image) => image.ownerDocument.defaultView.getComputedStyle(image).animationName);
  page = await visit.open(`/runs/${run}`);
  say(preview(file));
  await eventually('the look', () => looked('grid'));
  expect(await animation()).toBe('none');
  await page.emulateMedia({ reducedMotion: 'no-preference' });
  expect(await animation()).toBe('appear');
});

test('of a run that has no sample yet takes the place of the words', async () => {
  page = await visit.open(`/runs/${visit.seeded.hostile}`);
  const { db, home } = visit;
  const hostile = visit.seeded.hostile;
  db.raw.prepare('DELETE FROM sample WHERE run = ?').run(hostile);
  updateRun(db, hostile, { state: 'evaluating', epoch: 0 });
  await page.reload();
  await page.locator('table.grid').waitFor();
  const other = startTrainer(db, home, hostile, { epoch: 0 });
  const own = join(other.folder, 'preview-p0.png');
  await glance(own);
  other.say(preview(own, { prompt: 0, epoch: 0, step: 0 } as object));
  appendEvent(db, { run: hostile, kind: 'checkpoint', message: 'rings' });
  await making('grid').getByText('sampling 6 of 20').waitFor();
  other.end();
});
