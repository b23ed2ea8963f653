/** Commands that change something, with a real engine, worker and dashboard in the background. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { openRecord } from '../../db/connection.ts';
import { eventsAfter } from '../../db/events.ts';
import { homePaths } from '../../db/home.ts';
import { isAlive, readProcesses } from '../../db/processes.ts';
import { tiller } from './run-tiller.ts';

const home = mkdtempSync(join(tmpdir(), 'tiller-train-'));
const recipe = resolve(import.meta.dirname, '../../recipes/examples/own-trainer.yaml');
const MINUTES = 60_000;

function inRecord<Result>(use: (db: ReturnType<typeof openRecord>) => Result): Result {
  const db = openRecord(homePaths(home).record, { readonly: true });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

afterAll(async () => {
  await tiller(home, ['down']);
  rmSync(home, { recursive: true, force: true });
}, MINUTES);

const stateOf = async (run: string): Promise<{ state: string; step: number }> => {
  const { out } = await tiller(home, ['show', run, '--json']);
  return JSON.parse(out) as { state: string; step: number };
};

test(
  'from train to done, with a pause on the way',
  async () => {
    const set = ['--set', 'settings.milliseconds_per_step=100', '--set', 'num_epochs=2'];
    const started = await tiller(home, ['train', recipe, '--name', 'mine', ...set, '--detach']);
    expect(started.err).toContain('starting Tiller in the background');
    expect(started.err).toContain('num_epochs is train.epochs here');
    const told = inRecord((db) => eventsAfter(db, 0)).find(({ kind }) => kind === 'recipe');
    expect(told?.message).toBe('num_epochs is train.epochs here');
    expect(started.out).toMatch(/^run mine \(\w+\)\nhttp:\/\/127\.0\.0\.1:\d+\/runs\/\w+$/);
    expect(started.code).toBe(0);

    while ((await stateOf('mine')).step === 0) await sleep(100);
    expect((await tiller(home, ['pause', 'mine'])).out).toMatch(/^mine: paus/);
    // watch ends where nothing more happens by itself
    const paused = await tiller(home, ['watch', 'mine']);
    expect(paused.err).toContain('`tiller resume mine` goes on');
    expect(paused.code).toBe(0);
    const { step } = await stateOf('mine');
    expect(step).toBeGreaterThan(0);
    expect(step).toBeLessThan(100);

    expect((await tiller(home, ['resume', 'mine'])).code).toBe(0);
    const watched = await tiller(home, ['watch', 'mine']);
    expect(watched.err).toContain('mine is done: 2 epochs, 100 steps.');
    expect(await stateOf('mine')).toMatchObject({ state: 'done', step: 100 });

    const more = await tiller(home, ['extend', 'mine', '1']);
    expect(more.out).toMatch(/^mine: \w+, ends after epoch 3$/);
    await tiller(home, ['watch', 'mine']);
    expect(await stateOf('mine')).toMatchObject({ state: 'done', step: 150 });

    const refused = await tiller(home, ['stop', 'mine']);
    expect(refused.err).toMatch(/\[REQUEST_REFUSED\]$/);
    expect(refused.code).toBe(1);
  },
  5 * MINUTES,
);

test(
  'a trainer that is not there fails the run, and the command with it',
  async () => {
    const path = join(home, 'lost.yaml');
    writeFileSync(
      path,
      'name: lost\ntrainer: {command: [./nowhere]}\ntrain: {epochs: 1, steps_per_epoch: 2}\n',
    );
    const { code, err } = await tiller(home, ['train', path]);
    expect(err.split('\n').at(-1)).toMatch(/^Run lost failed: .*nowhere.* \[TRAINER_NOT_FOUND\]$/);
    expect(code).toBe(1);
  },
  5 * MINUTES,
);

test(
  'what is deleted has to be named twice, and is gone',
  async () => {
    const unnamed = await tiller(home, ['delete', 'mine']);
    expect(unnamed.err).toMatch(/has to be confirmed. Add --confirm mine. \[USAGE\]$/);
    const misnamed = await tiller(home, ['delete', 'mine', '--confirm', 'mien']);
    expect(misnamed).toMatchObject({ code: 2, err: expect.stringContaining('mien is not mine') });
    expect(await stateOf('mine')).toMatchObject({ state: 'done' });
    expect(await tiller(home, ['delete', 'mine', '--confirm', 'mine'])).toMatchObject({
      code: 0,
      out: 'mine: deleted',
    });
    expect((await tiller(home, ['runs'])).out).not.toContain('mine');
  },
  MINUTES,
);

test(
  'a second up finds the first',
  async () => {
    const { code, err } = await tiller(home, ['up']);
    expect(err).toMatch(/already runs on this home.*`tiller down`.*\[ALREADY_UP\]$/);
    expect(code).toBe(1);
  },
  MINUTES,
);

test(
  'down stops what trains at a checkpoint, and leaves nothing behind',
  async () => {
    const set = ['--set', 'settings.milliseconds_per_step=1000'];
    await tiller(home, ['train', recipe, '--name', 'downed', ...set, '--detach']);
    while ((await stateOf('downed')).step === 0) await sleep(100);
    const rows = inRecord(readProcesses);
    expect(rows.map(({ role }) => role).sort()).toEqual([
      'dashboard',
      'engine',
      'supervisor',
      'worker',
    ]);
    const down = await tiller(home, ['down']);
    expect(down.out).toMatch(/^stopping Tiller \(process \d+\) at a checkpoint\n/);
    expect(down.out).toMatch(/\nTiller is stopped$/);
    expect(down.code).toBe(0);
    expect(rows.filter(({ pid, process_start: start }) => isAlive(pid, start))).toEqual([]);
    const { step } = await stateOf('downed');
    const saved =
      'SELECT max(c.step) FROM checkpoint c JOIN run r ON r.id = c.run WHERE r.name = ?';
    expect(inRecord((db) => db.raw.prepare(saved).pluck().get('downed'))).toBe(step);
    const again = await tiller(home, ['down']);
    expect(again).toEqual({ code: 0, out: 'Tiller is not up on this home', err: '' });
  },
  MINUTES,
);
