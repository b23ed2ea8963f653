/** Runs from start to end under a real `tiller up`: real engine, real worker, real processes. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { keptCheckpoints } from '../../db/checkpoints.ts';
import type { Db } from '../../db/connection.ts';
import { listEpochs } from '../../db/epochs.ts';
import { eventsAfter } from '../../db/events.ts';
import { forgetRun, isForgotten } from '../../db/forget.ts';
import { homePaths } from '../../db/home.ts';
import { openLaunches } from '../../db/launches.ts';
import { isAlive, readProcesses } from '../../db/processes.ts';
import { getRequest } from '../../db/requests.ts';
import { getRun } from '../../db/runs.ts';
import { sendRequest } from '../../engine/client.ts';
import { workflowIdOf } from '../../engine/names.ts';
import { until, upTo, useRuns } from './use-runs.ts';

const runs = useRuns();
const { start, state, steps, reaches } = runs;
let home: string;
let db: Db;
let client: Client;
beforeAll(() => {
  ({ home, db, client } = runs.opened());
});

describe('a run', () => {
  test('trains, is evaluated each epoch, and ends', async () => {
    const run = await start({ evaluates: true });
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(40));
    // What this trainer can do is known once it has run: only then is its base evaluated.
    expect(listEpochs(db, run).map(({ epoch, state: at }) => [epoch, at])).toEqual([
      [0, 'evaluated'],
      [1, 'evaluated'],
      [2, 'evaluated'],
    ]);
    expect(getRun(db, run).final_checkpoint).not.toBeNull();
  });

  test('pauses at a checkpoint, lets the device go, and goes on where it was', async () => {
    const run = await start({ ms: 30 });
    await until(() => steps(run).length > 3, 'some steps');
    const { id } = await sendRequest(client, db, { run, verb: 'pause' });
    await reaches(run, 'paused');
    await until(() => getRequest(db, id).done_at !== null, 'the request to be done');
    const before = steps(run).length;
    expect(openLaunches(db, run)).toEqual([]);
    const other = await start({}, { epochs: 1 });
    await reaches(other, 'done');
    expect(steps(run).length).toBe(before);
    await sendRequest(client, db, { run, verb: 'resume' });
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(40));
    expect(eventsAfter(db, 0, run).map(({ kind }) => kind)).not.toContain('difference');
  });

  test('stops after the epoch, and can be resumed all the same', async () => {
    const run = await start({ ms: 10 });
    await until(() => steps(run).length > 3, 'some steps');
    await sendRequest(client, db, { run, verb: 'stop', after: 'epoch' });
    await reaches(run, 'stopped');
    expect(steps(run)).toEqual(upTo(20));
    await sendRequest(client, db, { run, verb: 'resume' });
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(40));
  });

  test('is ended without a save where its trainer does not heed a stop, and trains the lost steps again', async () => {
    const run = await start({ save_every: 5, hang_at: 12 });
    await until(() => steps(run).length === 12, 'the trainer to hang');
    const kind = await sendRequest(client, db, { run, verb: 'stop' });
    await until(() => getRequest(db, kind.id).delivered_at !== null, 'the trainer to be told');
    expect(state(run)).toBe('stopping');
    const { id } = await sendRequest(client, db, { run, verb: 'stop', after: 'now' });
    await reaches(run, 'stopped');
    expect(steps(run)).toEqual(upTo(12));
    expect(keptCheckpoints(db, run).map(({ step }) => step)).toEqual([10, 5]);
    expect(openLaunches(db, run)).toEqual([]);
    expect(getRequest(db, id)).toMatchObject({ refused: null, done_at: expect.any(Number) });
    await sendRequest(client, db, { run, verb: 'resume' });
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(40));
    const kinds = eventsAfter(db, 0, run).map(({ kind: what }) => what);
    expect(kinds).toContain('resumed');
    expect(kinds).not.toContain('difference');
  });

  test('refuses what makes no sense, and says why', async () => {
    const run = await start({ ms: 30 });
    await until(() => steps(run).length > 1, 'a step');
    await expect(sendRequest(client, db, { run, verb: 'resume' })).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringContaining('not paused'),
    });
    await sendRequest(client, db, { run, verb: 'stop' });
    await reaches(run, 'stopped');
    await expect(sendRequest(client, db, { run, verb: 'pause' })).rejects.toMatchObject({
      message: expect.stringContaining('has ended'),
    });
  });

  test('continues as a new workflow before its history grows long, and loses nothing', async () => {
    const run = await start({ ms: 5 }, { epochs: 3, epochsAHistory: 1 });
    const { runId } = await client.workflow.getHandle(workflowIdOf(run)).describe();
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(60));
    const last = await client.workflow.getHandle(workflowIdOf(run)).describe();
    expect(last.runId).not.toBe(runId);
    const first = await client.workflow.getHandle(workflowIdOf(run), runId).describe();
    expect(first.status.name).toBe('CONTINUED_AS_NEW');
  });

  test('waits while the disk is full and goes on by itself', async () => {
    const run = await start({ full_at: 7, save_every: 5 }, { epochs: 1 });
    await until(() => state(run) === 'interrupted', 'the disk to be full');
    expect(getRun(db, run)).toMatchObject({ state_code: 'DISK_FULL' });
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(20));
  });
});

describe('a run that is extended', () => {
  const extend = (run: string, epochs: number) =>
    sendRequest(client, db, { run, verb: 'extend', epochs });

  test('while it goes does not end where it would have, and when done goes on from there', async () => {
    const run = await start({ ms: 30, evaluates: true }, { epochs: 1 });
    await until(() => steps(run).length > 2, 'some steps');
    const { done_at: done } = await extend(run, 1);
    expect(done).not.toBeNull();
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(40));
    await extend(run, 2);
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(80));
    expect(
      listEpochs(db, run)
        .map(({ epoch, state: at }) => [epoch, at])
        .at(-1),
    ).toEqual([4, 'evaluated']);
    const kinds = eventsAfter(db, 0, run).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'extended')).toHaveLength(2);
    expect(kinds).not.toContain('difference');
  });

  test('while paused stays so, and then goes to the new end', async () => {
    const run = await start({ ms: 30 }, { epochs: 1 });
    await until(() => steps(run).length > 2, 'some steps');
    await sendRequest(client, db, { run, verb: 'pause' });
    await reaches(run, 'paused');
    await extend(run, 1);
    expect(state(run)).toBe('paused');
    await sendRequest(client, db, { run, verb: 'resume' });
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(40));
  });

  test('is refused where the learning rate was laid out for its end', async () => {
    const run = await start({}, { epochs: 1, schedule: 'cosine' });
    await reaches(run, 'done');
    await expect(extend(run, 1)).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringContaining("can't be extended now: its learning rate falls"),
    });
    expect(getRun(db, run)).toMatchObject({ state: 'done', epochs: 1 });
  });
});

describe('a run that is deleted', () => {
  const remove = (run: string) => sendRequest(client, db, { run, verb: 'delete' });
  const folderOf = (run: string): string => join(homePaths(home).runs, run);

  test('is gone with its files, and stays so', async () => {
    const run = await start({ ms: 5 }, { epochs: 1 });
    await until(() => steps(run).length > 1, 'a step');
    await expect(remove(run)).rejects.toMatchObject({
      code: 'REQUEST_REFUSED',
      message: expect.stringContaining('stop it first'),
    });
    await reaches(run, 'done');
    expect(existsSync(folderOf(run))).toBe(true);
    await remove(run);
    expect(isForgotten(db, run)).toBe(true);
    expect(existsSync(folderOf(run))).toBe(false);
    await expect(remove(run)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  test('and whose files were left by a kill, loses them at the next start', async () => {
    const run = await start({}, { epochs: 1 });
    await reaches(run, 'done');
    await client.workflow.getHandle(workflowIdOf(run)).result();
    forgetRun(db, run, folderOf(run));
    const stranger = join(homePaths(home).runs, 'not-of-the-record');
    await mkdir(stranger);
    const worker = readProcesses(db).find(({ role }) => role === 'worker');
    process.kill(worker!.pid, 'SIGKILL');
    await until(() => !existsSync(folderOf(run)), 'the next worker to sweep');
    expect(existsSync(stranger)).toBe(true);
  });
});

describe('the queue', () => {
  test('goes by priority, and a run that fails holds nobody up', async () => {
    const first = await start({ ms: 30 }, { epochs: 1 });
    await until(() => state(first) === 'training', 'the first run to train');
    const late = await start({ ms: 5 }, { epochs: 1, priority: 4 });
    await reaches(late, 'waiting');
    const urgent = await start({ ms: 5 }, { epochs: 1, priority: 1 });
    const broken = await start({ exit_at: 2, exit_code: 64 }, { epochs: 1, priority: 2 });
    await reaches(late, 'done');
    expect(state(urgent)).toBe('done');
    expect(getRun(db, broken)).toMatchObject({ state: 'failed', state_code: 'TRAINER_BAD_RECIPE' });
    const begun = (run: string): number => listEpochs(db, run)[0]?.started_at ?? 0;
    const order = [first, urgent, broken, late];
    expect(order.toSorted((a, b) => begun(a) - begun(b))).toEqual(order);
  });
});

describe('what dies comes back', () => {
  test('a killed worker costs no step: the next one adopts the trainer', async () => {
    const run = await start({ ms: 100 }, { epochs: 1 });
    await until(() => steps(run).length > 2, 'some steps');
    const trainerPid = openLaunches(db, run)[0]?.pid;
    const worker = readProcesses(db).find(({ role }) => role === 'worker');
    process.kill(worker!.pid, 'SIGKILL');
    await until(() => !isAlive(worker!.pid, worker!.process_start), 'the worker to die');
    await until(() => getRun(db, run).step === 20, 'the last step');
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(20));
    const events = eventsAfter(db, 0, run).map(({ kind }) => kind);
    expect(events).not.toContain('resumed');
    expect(events).not.toContain('interrupted');
    expect(trainerPid).toBeGreaterThan(0);
  });

  test('a killed engine does not stop the trainer', async () => {
    const run = await start({ ms: 50 });
    await until(() => steps(run).length > 2, 'some steps');
    const engine = readProcesses(db).find(({ role }) => role === 'engine');
    process.kill(engine!.pid, 'SIGKILL');
    await reaches(run, 'done');
    expect(steps(run)).toEqual(upTo(40));
    expect(eventsAfter(db, 0, run).map(({ kind }) => kind)).not.toContain('difference');
  });
});
