/** Commands that read, on a record with a finished run, a failed one, and one that was never started. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runFields } from '../../cli/run-fields.ts';
import { type Db, openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { migrate } from '../../db/migrate.ts';
import { createRun, setRunState, updateRun } from '../../db/runs.ts';
import { parseRecipe } from '../../recipes/parse.ts';
import { tiller } from './run-tiller.ts';

const home = mkdtempSync(join(tmpdir(), 'tiller-cli-'));

const recipe = (name: string, rate: number) =>
  parseRecipe(
    `name: ${name}\ndata: {folder: /pictures}\ntrain: {epochs: 2, learning_rate: ${rate}}`,
    { folder: '/' },
  );

function insert(db: Db, table: string, row: Record<string, unknown>): void {
  const keys = Object.keys(row);
  db.raw
    .prepare(
      `INSERT INTO ${table} (${keys.join(', ')}) VALUES (${keys.map((key) => `@${key}`).join(', ')})`,
    )
    .run(row);
}

function addEpoch(db: Db, run: string, epoch: number): void {
  const loss = 1 / (epoch + 1);
  insert(db, 'epoch', {
    run,
    epoch,
    state: 'evaluated',
    first_step: Math.max(0, epoch - 1) * 10,
    last_step: epoch * 10,
    train_loss: loss,
    train_loss_deviation: 0.01,
    train_loss_count: 10,
    validation_loss: loss + 0.1,
    trained_at: 1_000,
    evaluated_at: 2_000,
  });
  insert(db, 'evaluation', {
    run,
    epoch,
    step: epoch * 10,
    weights: 'ema',
    loss: loss + 0.1,
    bins: JSON.stringify([
      { timestep: 100, loss },
      { timestep: 900, loss: loss + 0.2 },
    ]),
    items: 4,
    created_at: 1_000,
  });
  const sha256 = `${run}${epoch}`.padEnd(64, '0');
  insert(db, 'artifact', {
    sha256,
    media_type: 'image/png',
    bytes: 1,
    width: 32,
    height: 32,
    created_at: 1,
  });
  const [prompt] = db.raw
    .prepare<[string], { id: string }>('SELECT id FROM prompt WHERE run = ?')
    .all(run);
  insert(db, 'sample', {
    id: `s${run}${epoch}`,
    run,
    epoch,
    step: epoch * 10,
    prompt: prompt!.id,
    seed: 7,
    sampler: 'ddim',
    sampling_steps: 20,
    guidance: 3,
    width: 32,
    height: 32,
    weights: 'ema',
    artifact: sha256,
    created_at: 1_000,
  });
  insert(db, 'launch', {
    run,
    epoch,
    stage: 'train',
    folder: '/x',
    state: 'ended',
    started_at: 1,
    ended_at: 2,
  });
  const launch = (db.raw.prepare('SELECT max(id) AS id FROM launch').get() as { id: number }).id;
  insert(db, 'usage', {
    run,
    epoch,
    stage: 'train',
    launch,
    device_seconds: 60,
    joules: 3_600,
    metered: 0,
    money: 0.5,
    currency: 'EUR',
  });
}

beforeAll(() => {
  const { record } = homePaths(home);
  migrate(record);
  const db = openRecord(record);
  const withPrompts = (parsed: ReturnType<typeof recipe>) => {
    parsed.recipe.samples.prompts = [{ text: 'red heart', negative: '', seed: 7 }];
    return runFields(parsed);
  };
  const done = createRun(db, withPrompts(recipe('emoji', 0.001)));
  if (db.raw.prepare('SELECT id FROM prompt WHERE run = ?').get(done.id) === undefined) {
    insert(db, 'prompt', { id: 'p1', run: done.id, position: 0, text: 'red heart', negative: '' });
  }
  for (const epoch of [0, 1, 2]) addEpoch(db, done.id, epoch);
  setRunState(db, done.id, 'done');
  updateRun(db, done.id, { step: 20, epoch: 2, steps_per_epoch: 10 });
  const failed = createRun(db, runFields(recipe('faces', 0.5)));
  setRunState(db, failed.id, 'failed', {
    reason: 'the loss is NaN at step 7',
    code: 'LOSS_NOT_FINITE',
  });
  insert(db, 'epoch', {
    run: failed.id,
    epoch: 1,
    state: 'training',
    first_step: 1,
    last_step: 10,
  });
  db.close();
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const json = async (...args: string[]) => {
  const { code, out, err } = await tiller(home, [...args, '--json']);
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out) as unknown;
};

describe('runs', () => {
  test('in a table', async () => {
    const { out, code } = await tiller(home, ['runs']);
    expect(code).toBe(0);
    expect(out).toMatch(/^run +state +epoch/);
    expect(out).toMatch(/emoji +done +2\/2 +20 +0\.4333 +0\.4333 @2 +€1\.50/);
    expect(out).toMatch(/faces +failed/);
  });
  test('as JSON', async () => {
    expect(await json('runs')).toEqual([
      expect.objectContaining({
        name: 'faces',
        state: 'failed',
        code: 'LOSS_NOT_FINITE',
        validation_loss: null,
      }),
      expect.objectContaining({
        name: 'emoji',
        state: 'done',
        epoch: 2,
        epochs: 2,
        step: 20,
        steps: 20,
        best_epoch: 2,
        kwh: 0.003,
        money: 1.5,
        currency: 'EUR',
      }),
    ]);
  });
  test('none yet', async () => {
    const empty = join(home, 'another');
    expect((await tiller(empty, ['runs'])).out).toContain('No runs yet');
    expect((await tiller(home, ['runs', '--json', '--home', empty])).out).toBe('[]');
  });
});

describe('show', () => {
  test('a run', async () => {
    const { out } = await tiller(home, ['show', 'emoji']);
    expect(out).toMatch(/^emoji \(\w+\): done/);
    expect(out).toMatch(/^ +2 +0\.3333 +0\.0100 +0\.4333 +60\.0 +€0\.50$/m);
    expect((await tiller(home, ['show', 'faces'])).out).toContain('the loss is NaN at step 7');
  });
  test('a run as JSON', async () => {
    expect(await json('show', 'emoji')).toMatchObject({
      name: 'emoji',
      dataset: null,
      recipe: { train: { learning_rate: 0.001 } },
      epoch_list: [
        { epoch: 0 },
        { epoch: 1 },
        { epoch: 2, validation_loss: 1 / 3 + 0.1, device_seconds: 60 },
      ],
    });
  });
  test('an epoch', async () => {
    const { out } = await tiller(home, ['show', 'emoji@1']);
    expect(out).toContain('emoji@1: evaluated, steps 1 to 10');
    expect(out).toContain('red heart');
    expect(await json('show', 'emoji@1')).toMatchObject({
      run: 'emoji',
      epoch: 1,
      validations: [
        {
          weights: 'ema',
          bins: [
            { timestep: 100, loss: 0.5 },
            { timestep: 900, loss: 0.7 },
          ],
        },
      ],
      samples: [{ prompt: 'red heart', seed: 7, sampler: 'ddim', url: null }],
    });
  });
  test.each([
    ['show emojy', /^No run is called emojy\. Did you mean emoji\?.* \[RUN_NOT_FOUND\]$/],
    ['show emoji@3', /^Run emoji has no epoch 3\. It has 0 to 2\. \[EPOCH_NOT_FOUND\]$/],
    ['compare emoji@1 nothing@1', /\[RUN_NOT_FOUND\]$/],
    ['compare emoji@1 emoji@99', /\[EPOCH_NOT_FOUND\]$/],
    ['watch emojy', /\[RUN_NOT_FOUND\]$/],
    ['pause emojy', /\[RUN_NOT_FOUND\]$/],
  ])('%s', async (call, line) => {
    const { code, out, err } = await tiller(home, call.split(' '));
    expect(err).toMatch(line);
    expect(out).toBe('');
    expect(code).toBe(2);
  });
});

describe('compare', () => {
  test('in a table', async () => {
    const { out } = await tiller(home, ['compare', 'emoji@1', 'emoji@2']);
    expect(out).toMatch(/validation loss +0\.6000 +0\.4333 +−0\.1667/);
    expect(out).toMatch(/at timestep 900 +0\.7000 +0\.5333 +−0\.1667/);
    expect(out).toMatch(/training loss .*−0\.1667 ± 0\.0094$/m);
    expect(out).toContain('lower in 2 of 2 bins');
    expect(out).toContain('1 of 1 pictures have the same prompt');
    expect(out).toContain('No setting differs.');
  });
  test('as JSON, of two runs', async () => {
    expect(await json('compare', 'emoji@2', 'faces@1')).toMatchObject({
      a: { run: 'emoji', epoch: 2, steps: 20, money: 1.5 },
      b: { run: 'faces', epoch: 1, validation_loss: null },
      settings: expect.arrayContaining([{ key: 'train.learning_rate', a: '0.001', b: '0.5' }]),
      samples: [{ prompt: 'red heart', a: { epoch: 2 }, b: null }],
      url: null,
    });
  });
});

describe('what needs a running Tiller', () => {
  test('says that it is not up', async () => {
    const { err, code } = await tiller(home, ['resume', 'emoji'], { TEMPORAL_ADDRESS: '' });
    expect(err).toMatch(/tiller up.*\[NOT_UP\]$/);
    expect(code).toBe(1);
  });
});

describe('watch', () => {
  test('of a run that failed ends with its error', async () => {
    const { err, code } = await tiller(home, ['watch', 'faces']);
    expect(err).toMatch(/Run faces failed: the loss is NaN at step 7.*\[LOSS_NOT_FINITE\]$/);
    expect(code).toBe(1);
  });
  test('of one that is done says so', async () => {
    const { err, code } = await tiller(home, ['watch', 'emoji']);
    expect(err).toContain('emoji is done: 2 epochs, 20 steps.');
    expect(code).toBe(0);
  });
});
