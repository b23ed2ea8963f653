/** Commands that change something, with a real engine, worker and dashboard in the background. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { supervisorPid } from '../../cli/running.ts';
import { openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { isAlive, processStart, readProcesses } from '../../db/processes.ts';
import { tiller } from './run-tiller.ts';

const home = mkdtempSync(join(tmpdir(), 'tiller-train-'));
const recipe = resolve(import.meta.dirname, '../../recipes/examples/own-trainer.yaml');
const MINUTES = 60_000;

const processes = () => {
  const db = openRecord(homePaths(home).record, { readonly: true });
  try {
    return { supervisor: supervisorPid(db), rows: readProcesses(db) };
  } finally {
    db.close();
  }
};

/** Stops what the test started in the background, as a person would, and waits until it is gone. */
async function stopUp(): Promise<void> {
  const { supervisor } = processes();
  if (supervisor === undefined) return;
  const start = processStart(supervisor) ?? '';
  process.kill(supervisor, 'SIGTERM');
  while (isAlive(supervisor, start)) await sleep(50);
}

afterAll(async () => {
  await stopUp();
  rmSync(home, { recursive: true, force: true });
}, MINUTES);

const stateOf = async (run: string): Promise<{ state: string; step: number }> => {
  const { out } = await tiller(home, ['show', run, '--json']);
  return JSON.parse(out) as { state: string; step: number };
};

test(
  'from train to done, with a pause on the way',
  async () => {
    const set = ['--set', 'settings.milliseconds_per_step=100', '--set', 'train.epochs=2'];
    const started = await tiller(home, ['train', recipe, '--name', 'mine', ...set, '--detach']);
    expect(started.err).toContain('starting Tiller in the background');
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
  'a second up finds the first',
  async () => {
    const { code, err } = await tiller(home, ['up']);
    expect(err).toMatch(/already runs on this home.*\[ALREADY_UP\]$/);
    expect(code).toBe(1);
  },
  MINUTES,
);

test(
  'stopped, it leaves nothing behind',
  async () => {
    const { rows } = processes();
    expect(rows.map(({ role }) => role).sort()).toEqual([
      'dashboard',
      'engine',
      'supervisor',
      'worker',
    ]);
    await stopUp();
    expect(rows.filter(({ pid, process_start: start }) => isAlive(pid, start))).toEqual([]);
    expect(readFileSync(join(homePaths(home).logs, 'up.log'), 'utf8')).toContain('stopping');
  },
  MINUTES,
);
