import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import { createActivities } from '../../../activities/index.ts';
import type { Deps } from '../../../activities/deps.ts';
import { launchFiles, sleep } from '../../../activities/training/trainer-process.ts';
import { keptCheckpoints } from '../../../db/checkpoints.ts';
import { openRecord, type Db } from '../../../db/connection.ts';
import { findEpoch } from '../../../db/epochs.ts';
import { eventsAfter } from '../../../db/events.ts';
import { homePaths } from '../../../db/home.ts';
import { openLaunches, type LaunchRow } from '../../../db/launches.ts';
import { takeLease } from '../../../db/leases.ts';
import { readPoints } from '../../../db/metrics.ts';
import { migrate } from '../../../db/migrate.ts';
import { workingTrainer } from '../../../db/page-details.ts';
import { usageOfEpochs } from '../../../db/pages.ts';
import { isAlive } from '../../../db/processes.ts';
import { acknowledgeRequest, createRequest, getRequest } from '../../../db/requests.ts';
import { createRun, getRun, updateRun } from '../../../db/runs.ts';
import { recipeSchema } from '../../../recipes/schema.ts';

const trainer = join(import.meta.dirname, '..', '..', 'fixtures', 'trainers', 'knobs.mjs');

let home: string;
let db: Db;
let deps: Deps;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tiller-activities-'));
  migrate(homePaths(home).record);
  db = openRecord(homePaths(home).record);
  deps = { db, home, env: process.env, log: pino({ level: 'silent' }), owner: 'test' };
});

afterEach(async () => {
  db.close();
  await rm(home, { recursive: true, force: true });
});

/** A run of the fixture trainer, ready for its first epoch of 20 steps. */
function newRun(settings: Record<string, unknown>): string {
  const recipe = recipeSchema.parse({
    trainer: { command: [process.execPath, trainer] },
    settings,
    train: { epochs: 2, steps_per_epoch: 20 },
    checkpoints: { keep_rolling: 2 },
  });
  const { id } = createRun(db, {
    name: 'fixture',
    recipe,
    recipeHash: 'hash',
    trainer: 'knobs',
    device: 'cpu',
    threads: 1,
    priority: 3,
    epochs: 2,
  });
  updateRun(db, id, { steps_per_epoch: 20 });
  return id;
}

const train = (run: string, epoch = 1, environment = new MockActivityEnvironment()) =>
  environment.run(createActivities(deps).trainEpoch, run, epoch);

const stepsOf = (run: string): number[] => readPoints(db, run, 'loss').map(({ step }) => step);
const twenty = Array.from({ length: 20 }, (_, index) => index + 1);
const kindsOf = (run: string): string[] => eventsAfter(db, 0, run).map(({ kind }) => kind);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

describe('one epoch', () => {
  test('is taken in step by step and ends with its checkpoint', async () => {
    const run = newRun({ nonsense_at: 3, repeat: 5 });
    expect(await train(run)).toEqual({ finished: true });
    expect(stepsOf(run)).toEqual(twenty);
    expect(readPoints(db, run, 'loss').at(-1)?.value).toBe(1 / Math.sqrt(20));
    expect(keptCheckpoints(db, run).map(({ kind, step }) => [kind, step])).toEqual([['epoch', 20]]);
    expect(openLaunches(db, run)).toEqual([]);
    expect(getRun(db, run)).toMatchObject({ step: 20, knows: 'save,stop,sample' });
  });

  test('goes on after its trainer was killed, from the newest checkpoint, and says so', async () => {
    const run = newRun({ save_every: 5, kill_at: 13 });
    expect(await train(run)).toEqual({ finished: true });
    expect(stepsOf(run)).toEqual(twenty);
    const resumed = eventsAfter(db, 0, run).find(({ kind }) => kind === 'resumed');
    expect(resumed).toMatchObject({ step: 11 });
    expect(kindsOf(run)).toContain('interrupted');
    expect(kindsOf(run)).not.toContain('difference');
  });

  test('reports a step that came out differently when it was done again, and keeps the first', async () => {
    const run = newRun({ save_every: 5, kill_at: 13, differ_at: 12 });
    await train(run);
    const [difference, ...more] = eventsAfter(db, 0, run).filter(
      ({ kind }) => kind === 'difference',
    );
    expect(difference).toMatchObject({ step: 12, code: 'STEP_DIFFERS' });
    expect(more).toEqual([]);
    expect(readPoints(db, run, 'loss', 12, 12)).toEqual([{ step: 12, value: 1 / Math.sqrt(12) }]);
  });

  test('keeps the newest rolling checkpoints only', async () => {
    const run = newRun({ save_every: 3 });
    await train(run);
    const rolling = keptCheckpoints(db, run).filter(({ kind }) => kind === 'rolling');
    expect(rolling.map(({ step }) => step)).toEqual([18, 15]);
  });

  test('sets a damaged checkpoint aside and goes on from the one before', async () => {
    const run = newRun({ save_every: 5 });
    await train(run);
    const [newest] = keptCheckpoints(db, run);
    await writeFile(join(newest!.path, 'weights.safetensors'), 'flipped');
    expect(await train(run, 2)).toEqual({ finished: true });
    const warning = eventsAfter(db, 0, run).find(
      ({ code, kind }) => code === 'CHECKPOINT_CORRUPT' && kind === 'warning',
    );
    expect(warning).toMatchObject({ step: 20 });
    expect(readPoints(db, run, 'loss').at(-1)?.step).toBe(40);
  });
});

describe('a trainer that fails', () => {
  test.each([
    [64, 'TRAINER_BAD_RECIPE', true],
    [65, 'TRAINER_BAD_DATA', true],
    [70, 'TRAINER_BUG', true],
    [73, 'TRAINER_DISK', false],
    [75, 'TRAINER_BUSY', false],
  ])('with exit code %i is %s', async (exit_code, type, nonRetryable) => {
    const run = newRun({ exit_at: 1, exit_code });
    const failure = await train(run).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type, nonRetryable });
    expect(getRun(db, run)).toMatchObject({ state: 'interrupted', state_code: type });
  });

  test('once by a bug is started again', async () => {
    const run = newRun({ exit_at: 7, exit_code: 70, once: true });
    expect(await train(run)).toEqual({ finished: true });
    expect(stepsOf(run)).toEqual(twenty);
  });

  test('without a word does not speak the protocol', async () => {
    const run = newRun({ silent_end: true });
    await expect(train(run)).rejects.toMatchObject({ type: 'TRAINER_PROTOCOL' });
    expect(stepsOf(run)).toEqual(twenty);
  });

  test('that is not there is named', async () => {
    const run = newRun({});
    const recipe = JSON.parse(getRun(db, run).recipe) as Record<string, unknown>;
    updateRun(db, run, {
      recipe: JSON.stringify({ ...recipe, trainer: { command: ['/nowhere/trainer'] } }),
    });
    const failure = train(run);
    await expect(failure).rejects.toMatchObject({ type: 'TRAINER_NOT_FOUND', nonRetryable: true });
    await expect(failure).rejects.toThrow('/nowhere/trainer');
  });
});

describe('an evaluation that finds its weights damaged', () => {
  const evaluate = (run: string, epoch: number) =>
    new MockActivityEnvironment().run(createActivities(deps).evaluateEpoch, run, epoch);

  test('fails where there is no checkpoint that could be set aside', async () => {
    const run = newRun({ evaluates: true, evaluates_nothing_but: 'CHECKPOINT_CORRUPT' });
    updateRun(db, run, { knows: 'evaluate' });
    await expect(evaluate(run, 0)).rejects.toMatchObject({ type: 'CHECKPOINT_CORRUPT' });
  });

  test('has the epoch trained again', async () => {
    const run = newRun({ evaluates: true, evaluates_nothing_but: 'CHECKPOINT_CORRUPT' });
    await train(run);
    await evaluate(run, 1);
    expect(findEpoch(db, run, 1)).toMatchObject({ state: 'training', trained_at: null });
  });
});

/** Ends the wait of a trainer that `holds_at` a step. */
const letGo = (run: string) => writeFile(join(homePaths(home).runs, run, 'go'), '');

describe('whoever follows may go away', () => {
  test('the next attempt adopts the living trainer: no step is done again', async () => {
    const run = newRun({ holds_at: 3 });
    const first = new MockActivityEnvironment();
    const attempt = train(run, 1, first).catch((error: unknown) => error);
    await until(() => stepsOf(run).length >= 3);
    const pid = openLaunches(db, run)[0]?.pid;
    // Not a cancel by the workflow: the engine has given the attempt up.
    first.cancel('NOT_FOUND', { notFound: true } as never);
    expect(await attempt).toBeInstanceOf(CancelledFailure);
    expect(openLaunches(db, run)[0]?.pid).toBe(pid);
    await letGo(run);
    expect(await train(run)).toEqual({ finished: true });
    expect(stepsOf(run)).toEqual(twenty);
    expect(kindsOf(run)).not.toContain('resumed');
  });

  test('a trainer that ended while nobody followed it cost nothing after its end', async () => {
    const run = newRun({ holds_at: 3 });
    const first = new MockActivityEnvironment();
    const attempt = train(run, 1, first).catch((error: unknown) => error);
    await until(() => stepsOf(run).length >= 3);
    first.cancel('NOT_FOUND', { notFound: true } as never);
    await attempt;
    const [{ id, pid, process_start: start, folder }] = openLaunches(db, run) as [LaunchRow];
    await letGo(run);
    await until(() => !isAlive(pid!, start!));
    const hourAgo = Date.now() - 3_600_000;
    db.raw.prepare('UPDATE launch SET started_at = ? WHERE id = ?').run(hourAgo, id);
    const end = (hourAgo + 5_000) / 1000;
    await utimes(launchFiles(folder).spool, end, end);
    await train(run);
    expect(usageOfEpochs(db, run)).toMatchObject([{ epoch: 1, seconds: expect.closeTo(5, 2) }]);
  });

  test('an attempt with an older lease writes nothing more', async () => {
    const run = newRun({ holds_at: 3 });
    const attempt = train(run).catch((error: unknown) => error);
    await until(() => stepsOf(run).length >= 3);
    takeLease(db, run, 'a newer attempt');
    await letGo(run);
    expect(await attempt).toMatchObject({ type: 'LEASE_LOST' });
    const { pid, process_start: start } = openLaunches(db, run)[0]!;
    await until(() => !isAlive(pid!, start!));
    expect(stepsOf(run).length).toBeLessThan(20);
  });

  test('cancelled by the workflow, the trainer stops at a checkpoint first', async () => {
    const run = newRun({ holds_at: 3 });
    const environment = new MockActivityEnvironment();
    const attempt = train(run, 1, environment).catch((error: unknown) => error);
    await until(() => stepsOf(run).length >= 3);
    environment.cancel('CANCELLED', { cancelRequested: true } as never);
    expect(await attempt).toBeInstanceOf(CancelledFailure);
    expect(openLaunches(db, run)).toEqual([]);
    expect(keptCheckpoints(db, run).map(({ kind }) => kind)).toEqual(['requested']);
  });
});

describe('of a sample in the making', () => {
  const left = (run: string) => readdir(join(homePaths(home).runs, run, 'samples'));
  const shown = (run: string) => workingTrainer(db, run)?.preview ?? null;
  const all = (run: string) =>
    db.raw.prepare('SELECT preview FROM launch WHERE run = ? ORDER BY id').pluck().all(run);

  test('nothing is left when its trainer dies over it', async () => {
    const run = newRun({ glance_at: 6, kill_after_glance: 6 });
    expect(await train(run)).toEqual({ finished: true });
    expect(stepsOf(run)).toEqual(twenty);
    expect(all(run)).toEqual([null, null]);
    expect(await left(run)).toEqual([]);
  });

  test('as much is seen after the worker has gone as before', async () => {
    const run = newRun({ glance_at: 6, glance_ms: 1_000, ms: 5 });
    const first = new MockActivityEnvironment();
    const attempt = train(run, 1, first).catch((error: unknown) => error);
    await until(() => shown(run) !== null);
    first.cancel('NOT_FOUND', { notFound: true } as never);
    await attempt;
    expect(shown(run)).toContain('"picture":"preview-p0.png"');
    expect(await left(run)).toContain('preview-p0.png');
    const second = train(run);
    expect(shown(run)).not.toBeNull();
    expect(await second).toEqual({ finished: true });
    expect(kindsOf(run)).not.toContain('resumed');
    expect(all(run)).toEqual([null]);
    expect(await left(run)).toEqual([]);
  });
});

describe('what people ask for', () => {
  test('a pause stops the trainer at a checkpoint', async () => {
    const run = newRun({ holds_at: 3 });
    const attempt = train(run);
    await until(() => stepsOf(run).length >= 3);
    const { id } = createRequest(db, { run, verb: 'pause', arguments: { after: 'step' } });
    acknowledgeRequest(db, id);
    expect(await attempt).toEqual({ finished: false });
    expect(stepsOf(run).length).toBeLessThan(20);
  });

  test('a pause after the epoch leaves the trainer alone', async () => {
    const run = newRun({ ms: 5 });
    const { id } = createRequest(db, { run, verb: 'pause', arguments: { after: 'epoch' } });
    acknowledgeRequest(db, id);
    expect(await train(run)).toEqual({ finished: true });
  });

  test('a save is done when its checkpoint is in the record', async () => {
    const run = newRun({ holds_at: 3 });
    const attempt = train(run);
    await until(() => stepsOf(run).length >= 3);
    const { id } = createRequest(db, { run, verb: 'save', arguments: {} });
    acknowledgeRequest(db, id);
    await until(() => getRequest(db, id).delivered_at !== null);
    await letGo(run);
    await attempt;
    expect(getRequest(db, id).done_at).not.toBeNull();
    expect(keptCheckpoints(db, run).map(({ kind }) => kind)).toContain('requested');
  });
});
