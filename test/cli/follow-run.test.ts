import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { followRun } from '../../cli/follow-run.ts';
import type { Screen } from '../../cli/screen.ts';
import { updateRun } from '../../db/runs.ts';
import { startTrainer } from '../fixtures/making.ts';
import { seedRecord, type Seeded } from '../fixtures/seed-record.ts';
import { tiller } from './run-tiller.ts';

const home = mkdtempSync(join(tmpdir(), 'tiller-follow-'));
let seeded: Seeded;
beforeAll(async () => {
  seeded = await seedRecord(home);
});
afterAll(() => {
  seeded.db.close();
  rmSync(home, { recursive: true, force: true });
});

/** What the bar says of a run at this moment. */
async function barText(run: string): Promise<string> {
  let said = '';
  const bar = { update: (_: number | undefined, text: string) => (said = text), end: () => {} };
  const screen: Screen = { say: () => {}, bar: () => bar, close: () => {} };
  await followRun(seeded.db, run, screen, AbortSignal.abort());
  return said;
}

test('the line of `watch` says what long work is at, before the first step and between epochs', async () => {
  const { db, training: run } = seeded;
  expect(await barText(run)).toMatch(/€[\d.]+$/);
  const trainer = startTrainer(db, home, run);
  trainer.say({ event: 'progress', phase: 'samples', done: 3, total: 8 });
  updateRun(db, run, { state: 'evaluating' });
  expect(await barText(run)).toMatch(/ · evaluating, sampled 3 of 8$/);
  const { step } = db.raw.prepare('SELECT step FROM run WHERE id = ?').get(run) as { step: number };
  trainer.say({ event: 'progress', phase: 'latents', done: 12, total: 200 });
  updateRun(db, run, { state: 'training', step: 0 });
  expect(await barText(run)).toBe('emoji-night: training, preparing latents 12 of 200');
  updateRun(db, run, { step });
  trainer.end();
  expect(await barText(run)).toMatch(/€[\d.]+$/);
});

test('`show` has the memory that was planned', async () => {
  const { db, training: run } = seeded;
  const show = async (...more: string[]) => (await tiller(home, ['show', run, ...more])).out;
  expect(JSON.parse(await show('--json'))).toMatchObject({ memory: null });
  const trainer = startTrainer(db, home, run, { stage: 'train' });
  const parts = [
    { name: 'weights', bytes: 3.44e9 },
    { name: 'optimizer', bytes: 82e6 },
  ];
  trainer.say({ event: 'memory', total_bytes: 3.522e9, available_bytes: 16e9, parts });
  const plan = { total_bytes: 3.522e9, available_bytes: 16e9, parts };
  expect(JSON.parse(await show('--json'))).toMatchObject({
    memory: { stage: 'train', epoch: 11, ...plan },
  });
  expect(await show()).toContain(
    '3.5 GB of memory planned to train: weights 3.4 GB, optimizer 82 MB',
  );
  const host = { total_bytes: 5e9, parts: [{ name: 'average', bytes: 4e9 }] };
  trainer.say({ event: 'memory', total_bytes: 6e9, parts, host, nodes: 8123, splits: 1 });
  trainer.end();
  expect(await show()).toContain(
    '6 GB of memory planned to train: weights 3.4 GB, optimizer 82 MB\n' +
      "  and 5 GB of the host's: average 4 GB\n" +
      '  the graph: 8,123 nodes in 1 split\n',
  );
});
