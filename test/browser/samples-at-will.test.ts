import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { saveCheckpoint } from '../../db/checkpoints.ts';
import { appendEvent } from '../../db/events.ts';
import { addPrompt, dropPrompt } from '../../db/prompts.ts';
import { addSamples } from '../fixtures/seed-record.ts';
import { PHONE, eventually, startVisit, type Visit } from './visit.ts';

/** Epochs 0 and 10 have their weights; a prompt that came later is sampled at 0. */
let visit: Visit;
let page: Page;
let run: string;
let position: number;
beforeAll(async () => {
  visit = await startVisit();
  run = visit.seeded.done;
  const kept = { path: '/x', sha256: 'x', bytes: 1, kind: 'epoch' };
  saveCheckpoint(visit.db, { run, epoch: 10, step: 1500, ...kept });
  position = addPrompt(visit.db, run, { text: 'lighthouse', negative: '', seed: 7 }, Date.now());
  await addSamples(visit.db, visit.home, run, {
    epoch: 0,
    step: 0,
    prompts: ['lighthouse'],
    seed: 7,
  });
});
afterAll(() => visit.close());
afterEach(async () => {
  await page.context().close();
  expect(visit.complaints.splice(0)).toEqual([]);
});

test('a missing cell of the grid asks for its sample, and says so in its place', async () => {
  page = await visit.open(`/runs/${run}`);
  const cell = page.locator(`table.grid button[data-prompt="${position}"]`);
  expect(await cell.count()).toBe(1);
  expect(await cell.getAttribute('aria-label')).toMatch(
    /^lighthouse, not sampled at epoch 10: Make it \(about \d+ s\)$/,
  );
  await cell.click();
  await eventually('asked', () => visit.asked.at(-1)?.verb === 'make');
  expect(visit.asked.at(-1)).toEqual({
    run,
    verb: 'make',
    sample: { epoch: 10, prompt: position },
  });
  await page.getByText('Asked for').waitFor();
});

test('the compare page offers the missing side, and shows it when it is there', async () => {
  page = await visit.open(`/compare?a=${run}@0&b=${run}@10&prompt=9`);
  const absent = page.locator('.view .absent');
  expect(await absent.textContent()).toMatch(/^Not sampled at epoch 10: Make it \(about \d+ s\)$/);
  await absent.getByRole('button').click();
  await eventually('asked', () => visit.asked.at(-1)?.verb === 'make');
  expect(visit.asked.at(-1)).toMatchObject({ run, sample: { epoch: 10, prompt: position } });
  const made = { epoch: 10, step: 1500, prompts: ['lighthouse'], seed: 7 };
  await addSamples(visit.db, visit.home, run, made);
  appendEvent(visit.db, { run, kind: 'sample', message: 'a sample' });
  await eventually('the picture', async () => (await page.locator('.view img').count()) === 2);
});

test('prompts are added, changed and dropped; what was typed stays where it was refused', async () => {
  page = await visit.open(`/runs/${run}`, { viewport: PHONE, hasTouch: true });
  await page.locator('#prompts > summary').click();
  const form = page.locator('form.prompt-form').last();
  await form.getByLabel('Prompt').fill('a boat');
  await form.getByLabel('Without').fill('rain');
  await form.getByLabel('Width').fill('33');
  await form.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('alert').getByText('33 pixels are a size').waitFor();
  expect(await form.getByLabel('Prompt').inputValue()).toBe('a boat');
  await form.getByLabel('Width').fill('64');
  await form.getByRole('button', { name: 'Add' }).click();
  await eventually('asked', () => visit.asked.at(-1)?.verb === 'prompts');
  const boat = { text: 'a boat', negative: 'rain', seed: 7, width: 64 };
  expect(visit.asked.at(-1)).toEqual({ run, verb: 'prompts', edit: { add: boat } });
  addPrompt(visit.db, run, boat, Date.now());
  appendEvent(visit.db, { run, kind: 'prompts', message: 'a boat' });
  const line = page.locator('.prompt-list li').last();
  await line.getByText('a boat').waitFor();
  expect((await line.locator('summary').boundingBox())?.height).toBeGreaterThanOrEqual(44);
  await line.locator('summary').click();
  await line.getByLabel('Seed').fill('8');
  await line.getByRole('button', { name: 'Change' }).click();
  await eventually('changed', () => visit.asked.at(-1)?.edit?.drop === position + 1);
  expect(visit.asked.at(-1)?.edit).toEqual({ add: { ...boat, seed: 8 }, drop: position + 1 });
  await line.getByRole('button', { name: /no longer/ }).click();
  await eventually('dropped', () => visit.asked.at(-1)?.edit?.add === undefined);
  expect(visit.asked.at(-1)?.edit).toEqual({ drop: position + 1 });
  dropPrompt(visit.db, run, position + 1);
  appendEvent(visit.db, { run, kind: 'prompts', message: 'dropped' });
  await eventually(
    'gone',
    async () => (await page.locator('.prompt-list').getByText('a boat').count()) === 0,
  );
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(PHONE.width);
  visit.complaints.length = 0; // the browser reports the refusal's status
});
