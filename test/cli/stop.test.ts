/** `stop --now` where no `up` runs: a trainer that outlived it is ended all the same. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runFields } from '../../cli/run-fields.ts';
import { type Db, openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { createLaunch, launchStarted } from '../../db/launches.ts';
import { takeLease } from '../../db/leases.ts';
import { migrate } from '../../db/migrate.ts';
import { processStart } from '../../db/processes.ts';
import { createRun, updateRun } from '../../db/runs.ts';
import { parseRecipe } from '../../recipes/parse.ts';
import { tiller } from './run-tiller.ts';

const home = mkdtempSync(join(tmpdir(), 'tiller-stop-'));
let db: Db;
let run: string;

beforeAll(() => {
  const { record } = homePaths(home);
  migrate(record);
  db = openRecord(record);
  const parsed = parseRecipe('name: alone\ndata: {folder: /pictures}', { folder: '/' });
  run = createRun(db, runFields(parsed)).id;
  updateRun(db, run, { state: 'training', step: 37 });
});

afterAll(() => {
  db.close();
  rmSync(home, { recursive: true, force: true });
});

test('ends a trainer by pid and start time, says what is lost, and leaves a reused pid alone', async () => {
  const trainer = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  const bystander = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  const lease = takeLease(db, run, 'worker');
  const launch = (pid: number, start: string): void => {
    const { id } = createLaunch(db, lease, { run, epoch: 1, stage: 'train', folder: '/x' });
    launchStarted(db, lease, id, pid, start);
  };
  launch(trainer.pid!, processStart(trainer.pid!)!);
  launch(bystander.pid!, 'another time');
  const ended = once(trainer, 'exit');
  const { out, code } = await tiller(home, ['stop', 'alone', '--now']);
  expect(out).toContain('alone: loses the 37 steps since the last checkpoint');
  expect(out).toContain(`ended its trainer (process ${trainer.pid})`);
  expect(code).toBe(0);
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect(bystander.exitCode).toBeNull();
  expect(bystander.signalCode).toBeNull();
  bystander.kill('SIGKILL');
});

test('has nobody to ask where no trainer is left either', async () => {
  const { err, code } = await tiller(home, ['stop', 'alone', '--now']);
  expect(err).toMatch(/\[NOT_UP\]$/);
  expect(code).toBe(1);
});
