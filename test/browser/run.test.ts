import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { appendEvent } from '../../db/events.ts';
import {
  acknowledgeRequest,
  createRequest,
  deliverRequest,
  finishRequest,
  openRequests,
  refuseRequest,
} from '../../db/requests.ts';
import { forgetRun } from '../../db/forget.ts';
import { createRun, getRun, type NewRun, recipeOf, updateRun } from '../../db/runs.ts';
import { TillerError } from '../../recipes/errors.ts';
import { addSamples, addSteps } from '../fixtures/seed-record.ts';
import { eventually, queryOf, startVisit, type Visit } from './visit.ts';

let visit: Visit;
let page: Page;
let refusal: TillerError | undefined;
let request = '';
beforeAll(async () => {
  visit = await startVisit({
    // Stands in for the engine: writes down what was asked, as the engine's client does.
    sendRequest: async ({ run, verb, after }) => {
      if (verb === 'delete') {
        forgetRun(visit.db, run, '/nowhere');
        return { id: 'request' };
      }
      const row = createRequest(visit.db, { run, verb, arguments: { after } });
      if (refusal !== undefined) {
        refuseRequest(visit.db, row.id, 'not now');
        throw refusal;
      }
      request = row.id;
      return row;
    },
  });
});
afterAll(() => visit.close());
afterEach(async () => {
  await page.context().close();
  expect(visit.complaints.splice(0)).toEqual([]);
});

const openRun = async (query = ''): Promise<void> => {
  page = await visit.open(`/runs/${visit.seeded.training}${query}`);
  await page.locator('#loss-chart.drawn').waitFor();
  await page.locator('#validation-chart.drawn').waitFor();
};
const copyOf = (id: string): NewRun => {
  const run = getRun(visit.db, id);
  return { ...run, recipe: recipeOf(run), recipeHash: run.recipe_hash };
};
const scrollTop = (): Promise<number> => page.locator(':root').evaluate((root) => root.scrollTop);
const notes = async (): Promise<string> => (await page.locator('#loss-notes').textContent()) ?? '';

describe('the curve', () => {
  test('says what it leaves out and undoes it, in the address', async () => {
    await openRun();
    expect(await notes()).toMatch(/\d+ points? clipped/);
    expect(await notes()).toContain('3 values are NaN or infinite (step 700, 701, 1,100)');
    expect(await notes()).toContain('resumed at step 840');
    await page.getByRole('button', { name: 'Show all points' }).click();
    await page.getByText('All points are in view.').waitFor();
    expect(queryOf(page)).toMatchObject({ clip: '0' });
    await page.reload();
    await page.getByText('All points are in view.').waitFor();
    await page.getByRole('button', { name: 'Clip far points' }).click();
    await page.getByText(/clipped/).waitFor();
    expect(queryOf(page)).toEqual({});
  });

  test('takes its choices from the address and puts them there', async () => {
    await openRun('?x=hours&smooth=0.6&log=1');
    expect(await page.getByLabel('Against').inputValue()).toBe('hours');
    expect(await page.getByLabel('Smoothing').inputValue()).toBe('0.6');
    expect(await page.getByLabel('Log y').isChecked()).toBe(true);
    await page.getByLabel('Against').selectOption('cost');
    await page.locator('select[name=curve]').selectOption('grad_norm');
    await eventually('the address', () => queryOf(page)['curve'] === 'grad_norm');
    expect(queryOf(page)).toEqual({ x: 'cost', smooth: '0.6', log: '1', curve: 'grad_norm' });
    expect(await page.locator('#loss-title').textContent()).toBe('Gradient norm');
  });

  test('shows a part that is drawn over, and the whole again', async () => {
    await openRun();
    const box = await page.locator('#loss-chart canvas').boundingBox();
    if (box === null) throw new Error('no chart');
    await page.mouse.move(box.x + box.width * 0.4, box.y + 100);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 120, { steps: 4 });
    await page.mouse.up();
    await eventually('a part', () => queryOf(page)['from'] !== undefined);
    const { from, to } = queryOf(page);
    expect(Number(from)).toBeGreaterThan(300);
    expect(Number(to)).toBeLessThan(1200);
    await page.getByRole('button', { name: 'Whole run' }).click();
    await eventually('the whole', () => queryOf(page)['from'] === undefined);
    await page.getByRole('button', { name: 'Newest epoch' }).click();
    expect(queryOf(page)).toEqual({ from: '1381' });
  });

  test('has a data table', async () => {
    await openRun();
    await page.locator('#loss-data summary').click();
    // The rows come with the curve, which is fetched after the page.
    await page.locator('#loss-data tbody tr').last().waitFor();
    expect(await page.locator('#loss-data tbody tr').count()).toBe(40);
    expect(await page.locator('#loss-data thead').textContent()).toContain('Least');
    await page.locator('#validation-data summary').click();
    await page.locator('#validation-data tbody tr').last().waitFor();
    expect(await page.locator('#validation-data tbody tr').count()).toBe(11);
  });

  test('draws the timesteps that are switched on, and remembers them', async () => {
    await openRun();
    await page.getByRole('button', { name: 't 63', exact: true }).click();
    await page.getByRole('button', { name: 't 938', exact: true }).click();
    expect(queryOf(page)).toEqual({ bins: '63.938' });
    await page.reload();
    await page.locator('#validation-chart.drawn').waitFor();
    expect(await page.locator('.toggle[aria-pressed=true]').allTextContents()).toHaveLength(2);
  });

  test('makes up no scale where there is nothing to draw', async () => {
    const { id } = createRun(visit.db, copyOf(visit.seeded.training));
    page = await visit.open(`/runs/${id}`);
    await page.getByText('Nothing to draw yet').waitFor();
    expect(await page.locator('.chart.drawn').count()).toBe(0);
    const painted = await page.evaluate<boolean[]>(`[...document.querySelectorAll('.chart canvas')]
      .map((canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height))
      .map(({ data }) => data.some((value) => value !== 0))`);
    expect(painted).toEqual([false, false]);
    addSteps(visit.db, id, 1, 20);
    await page.locator('#loss-chart.drawn').waitFor();
    await page.goto(`${visit.address()}/runs/${id}?from=500`);
    await page.getByText('No step lies in this part.').waitFor();
  });

  test('says so when it cannot be read, and tries again', async () => {
    await openRun();
    await page.route('**/curve?**', (route) => route.abort());
    await page.getByLabel('Smoothing').selectOption('0');
    await page.getByText('What is drawn may be old.').waitFor();
    await page.unroute('**/curve?**');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText(/clipped/).waitFor();
    // The browser itself reports the request that was cut.
    visit.complaints.length = 0;
  });
});

test('the epochs that are chosen to be compared are in the address', async () => {
  await openRun();
  await page.getByLabel('Epoch 3 as A').check();
  await page.getByLabel('Epoch 7 as B').check();
  const { training } = visit.seeded;
  expect(queryOf(page)).toEqual({ a: `${training}@3`, b: `${training}@7` });
  await page.reload();
  expect(await page.getByLabel('Epoch 3 as A').isChecked()).toBe(true);
  await page.getByRole('button', { name: 'Compare A and B' }).click();
  await page.waitForURL('**/compare?**');
  expect(queryOf(page)).toMatchObject({ a: `${training}@3`, b: `${training}@7` });
});

describe('live', () => {
  test('figures move, and new samples wait behind a pill, without a jump', async () => {
    await openRun();
    const grid = page.locator('table.grid');
    const cells = await grid.locator('a[data-sample]').count();
    await page.locator('#samples').scrollIntoViewIfNeeded();
    const before = await scrollTop();
    expect(before).toBeGreaterThan(0);
    addSteps(visit.db, visit.seeded.training, 1531, 1540);
    updateRun(visit.db, visit.seeded.training, { step: 1540 });
    await addSamples(visit.db, visit.home, visit.seeded.training, {
      epoch: 11,
      step: 1540,
      request: 'r1',
    });
    await page.locator('[data-field=step]', { hasText: '1,540 of 1,950' }).waitFor();
    const pill = page.locator('#new-samples');
    await eventually('the pill', async () => (await pill.textContent()) === '8 new samples');
    expect(await grid.locator('a[data-sample]').count()).toBe(cells);
    expect(await scrollTop()).toBe(before);
    await pill.click();
    await eventually(
      'the new row',
      async () => (await grid.locator('a[data-sample]').count()) === cells + 8,
    );
    expect(await pill.isVisible()).toBe(false);
    // Before the row that is kept for the epoch's end.
    const rows = await grid.locator('tbody th').allTextContents();
    expect(rows.slice(-2)).toEqual(['step 1,540 on request', '11']);
  });

  test('a change of state is announced and shown', async () => {
    await openRun();
    const { training } = visit.seeded;
    updateRun(visit.db, training, { state: 'evaluating', state_reason: 'epoch 11 is measured' });
    appendEvent(visit.db, {
      run: training,
      kind: 'state',
      message: 'evaluating: epoch 11 is measured',
    });
    await page.locator('.page-head').getByText('epoch 11 is measured').waitFor();
    expect(await page.locator('#announce').textContent()).toContain('evaluating');
    updateRun(visit.db, training, { state: 'training', state_reason: null });
    appendEvent(visit.db, { run: training, kind: 'state', message: 'training' });
    await page.getByRole('button', { name: 'Sample now' }).waitFor();
  });

  test('a dead dashboard is said, and what was missed comes when it is back', async () => {
    await openRun();
    await visit.stopServer();
    await page.locator('#chip', { hasText: 'Disconnected, retrying' }).waitFor();
    // The last good data stays.
    expect(await page.locator('table.epochs tbody tr').count()).toBeGreaterThan(5);
    appendEvent(visit.db, {
      run: visit.seeded.training,
      kind: 'warning',
      message: 'while you were away',
    });
    await visit.startServer();
    await page.locator('#chip[data-tone=live]').waitFor();
    await page.getByText('while you were away').waitFor();
    visit.complaints.length = 0;
  });
});

describe('controls', () => {
  test('show requested, acknowledged, delivered and done with their times', async () => {
    await openRun();
    await page.getByRole('button', { name: 'Pause' }).first().click();
    const line = page.locator('.requests li').first();
    await line.getByText('requested').waitFor();
    expect(visit.asked.at(-1)).toEqual({
      run: visit.seeded.training,
      verb: 'pause',
      after: 'step',
    });
    expect(await line.textContent()).toContain('…');
    acknowledgeRequest(visit.db, request);
    deliverRequest(visit.db, request);
    finishRequest(visit.db, request);
    await line.getByText('done').waitFor();
    expect((await line.textContent())?.replaceAll(/\s+/g, ' ')).toMatch(
      /Pause after the step requested [\d:]{8} acknowledged [\d:]{8} delivered [\d:]{8} done [\d:]{8}/,
    );
    // One line of text at this width.
    expect((await line.boundingBox())?.height).toBeLessThan(40);
  });

  test('a stop is chosen from a menu, after the step or the epoch', async () => {
    await openRun();
    // The answer comes when the controls were made anew, as they may be.
    await page.route('**/requests', async (route) => {
      const response = await route.fetch();
      await page.locator(`[data-request="${request}"]`).waitFor();
      await route.fulfill({ response });
    });
    await page.locator('#stop-menu summary').click();
    await page.getByRole('button', { name: 'After this epoch' }).first().click();
    await eventually('asked', () => visit.asked.at(-1)?.verb === 'stop');
    expect(visit.asked.at(-1)).toMatchObject({ verb: 'stop', after: 'epoch' });
    await page.locator('#stop-menu:not([open])').waitFor();
  });

  test('a trainer that heeds nothing can be ended: offered by itself after a minute', async () => {
    await openRun();
    const run = visit.seeded.training;
    const { id } = createRequest(visit.db, { run, verb: 'stop', arguments: { after: 'step' } });
    const asked = visit.db.raw.prepare('UPDATE request SET requested_at = ? WHERE id = ?');
    // Far enough that the page has been read anew for the request before, and no event comes after.
    asked.run(Date.now() - 54_000, id);
    await page.locator(`[data-request="${id}"]`).waitFor();
    expect(await page.locator('.forced').count()).toBe(0);
    await page
      .locator('.forced')
      .getByText(/^loses the [\d,]+ steps/)
      .waitFor();
    await page.getByRole('button', { name: 'Stop now' }).click();
    await eventually('asked', () => visit.asked.at(-1)?.after === 'now');
    expect(visit.asked.at(-1)).toMatchObject({ verb: 'stop', after: 'now' });
    for (const open of openRequests(visit.db, run)) finishRequest(visit.db, open.id);
  });

  test('so many more epochs: what was typed outlives a fresh reading of the page', async () => {
    await openRun();
    const run = visit.seeded.training;
    await page.locator('#extend-menu summary').click();
    await page.getByLabel(/^More epochs than/).fill('7');
    // The controls are made anew, with a line more.
    const { id } = createRequest(visit.db, { run, verb: 'save' });
    await page.locator(`[data-request="${id}"]`).waitFor();
    finishRequest(visit.db, id);
    await page.getByRole('button', { name: 'Train them' }).click();
    await eventually('asked', () => visit.asked.at(-1)?.verb === 'extend');
    expect(visit.asked.at(-1)).toEqual({ run, verb: 'extend', epochs: 7 });
    await page.locator('#extend-menu:not([open])').waitFor();
  });

  test('a falling learning rate has no more epochs, and says why', async () => {
    const { db, seeded } = visit;
    const recipe = db.raw.prepare('SELECT recipe FROM run WHERE id = ?').pluck();
    const before = recipe.get(seeded.training) as string;
    const changed = before.replace('"schedule":"constant"', '"schedule":"cosine"');
    expect(changed).not.toBe(before);
    updateRun(db, seeded.training, { recipe: changed });
    await openRun();
    await page.locator('#extend-menu summary').click();
    await page.getByText(/learning rate falls to nothing by epoch \d+ \(cosine\)/).waitFor();
    expect(await page.locator('#extend-epochs').count()).toBe(0);
    updateRun(db, seeded.training, { recipe: before });
  });

  test('a run is deleted by its name alone, and the list says so once', async () => {
    const { id, name } = createRun(visit.db, { ...copyOf(visit.seeded.done), name: 'unloved' });
    updateRun(visit.db, id, { state: 'stopped' });
    page = await visit.open(`/runs/${id}`);
    await page.locator('#delete-menu summary').click();
    const field = page.getByLabel(`Type ${name} to delete it`);
    await field.fill('unloved-2');
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await page.getByRole('alert').getByText('Nothing was deleted').waitFor();
    expect(visit.asked.at(-1)?.verb).not.toBe('delete');
    expect(await field.inputValue()).toBe('unloved-2');
    // The browser tells of the answer 400 by itself.
    expect(visit.complaints.splice(0)).toHaveLength(1);
    await field.fill(name);
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await page.getByText('Run unloved is deleted.').waitFor();
    expect(visit.asked.at(-1)).toEqual({ run: id, verb: 'delete' });
    expect(queryOf(page)).toEqual({});
    expect(await page.locator('.run-row').getByText('unloved').count()).toBe(0);
  });

  test('a refusal is told', async () => {
    await openRun();
    refusal = new TillerError(
      'REQUEST_REFUSED',
      'Run emoji-night can’t save now: it saves already',
    );
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('alert').getByText('it saves already').waitFor();
    await page.locator('.requests').getByText('refused: not now').waitFor();
    refusal = undefined;
    visit.complaints.length = 0;
  });

  test('go on working when the dashboard was started anew', async () => {
    await openRun();
    await visit.stopServer();
    await visit.startServer();
    await page.locator('#chip[data-tone=live]').waitFor();
    const before = visit.asked.length;
    await page.getByRole('button', { name: 'Sample now' }).click();
    await eventually('asked', () => visit.asked.length > before);
    expect(visit.asked.at(-1)).toMatchObject({ verb: 'sample' });
    visit.complaints.length = 0;
  });
});
