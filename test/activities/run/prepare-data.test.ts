import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import sharp from 'sharp';
import { createActivities } from '../../../activities/index.ts';
import type { Deps } from '../../../activities/deps.ts';
import { buildJob } from '../../../activities/training/job.ts';
import { type Db, openRecord } from '../../../db/connection.ts';
import { eventsAfter } from '../../../db/events.ts';
import { homePaths } from '../../../db/home.ts';
import { migrate } from '../../../db/migrate.ts';
import { createRun, getRun, recipeOf } from '../../../db/runs.ts';
import { type RecipeInput, recipeSchema } from '../../../recipes/schema.ts';

let root: string;
let db: Db;
let deps: Deps;
const file = (name: string) => join(root, 'pictures', name);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tiller-prepare-'));
  mkdirSync(file('.'));
  migrate(homePaths(root).record);
  db = openRecord(homePaths(root).record);
  deps = { db, home: root, env: process.env, log: pino({ level: 'silent' }), owner: 'test' };
});
afterEach(() => {
  db.close();
  rmSync(root, { recursive: true, force: true });
});

async function add(name: string, red: number, width = 64, height = 64) {
  const background = { r: red, g: 0, b: 0 };
  await sharp({ create: { width, height, channels: 3, background } }).toFile(file(name));
  writeFileSync(file(name.replace(/\.\w+$/, '.txt')), `red ${red}`);
}

function newRun(data: Partial<NonNullable<RecipeInput['data']>> = {}, train = {}): string {
  const recipe = recipeSchema.parse({
    data: { folder: file('.'), validation_share: 0, ...data },
    train: { batch: 2, ...train },
  });
  const common = { recipeHash: 'hash', device: 'cpu', threads: 1, priority: 3, epochs: 2 };
  return createRun(db, { name: 'run', recipe, trainer: 'tiller-diffusion', ...common }).id;
}

const prepare = (run: string) =>
  new MockActivityEnvironment().run(createActivities(deps).prepareData, run);
const said = (run: string) =>
  eventsAfter(db, 0, run)
    .filter(({ kind }) => kind === 'dataset')
    .map(({ message }) => message);

describe('the data of a run', () => {
  test('are counted: shapes, what is held out, what is left out and why, steps of a pass', async () => {
    for (let i = 0; i < 4; i++) await add(`wide-${i}.png`, i, 96, 48);
    for (let i = 0; i < 3; i++) await add(`square-${i}.png`, 20 + i);
    await add('line.png', 90, 2, 900);
    writeFileSync(file('broken.png'), 'nothing');
    const bucket = { bucket_min: 16, bucket_max: 96, bucket_step: 8, resolution: 32 };
    const run = newRun({ fit: 'buckets', ...bucket });
    await prepare(run);
    expect(said(run)).toEqual([
      '7 pictures to train on (2 shapes), 0 held out; 2 left out (1 unreadable, 1 aspect)',
    ]);
    expect(getRun(db, run).steps_per_epoch).toBe(4); // 4 / 2 + 3 / 2, each rounded up
  });

  test('of one shape are said as ever, and steps that are asked for stand', async () => {
    await add('a.png', 1);
    const run = newRun({}, { steps_per_epoch: 7 });
    await prepare(run);
    expect(said(run)).toEqual(['1 picture to train on, 0 held out']);
    expect(getRun(db, run).steps_per_epoch).toBe(7);
  });
});

describe('a run that goes on', () => {
  const bytesOf = (manifest: string) =>
    ['manifest.json', 'pixels.u8'].map((name) =>
      createHash('sha256')
        .update(readFileSync(join(dirname(manifest), name)))
        .digest('hex'),
    );
  const jobOf = (run: string, epoch: number) => {
    const row = getRun(db, run);
    const position = { stage: 'train', epoch, resume: null } as const;
    return buildJob(deps, row, recipeOf(row), position, join(root, 'launch'));
  };

  test('has the data that it began with, whatever is edited between two epochs', async () => {
    await add('a.png', 1);
    await add('b.png', 2);
    const run = newRun();
    await prepare(run);
    const first = jobOf(run, 1);
    const before = bytesOf(first.data!.manifest);
    await add('a.png', 200);
    writeFileSync(file('b.txt'), 'another caption');
    await prepare(run);
    const second = jobOf(run, 2);
    expect(second.data).toEqual(first.data);
    expect(second.fingerprint).toEqual(first.fingerprint);
    expect(bytesOf(second.data!.manifest)).toEqual(before);
    // Another run of the same folder has what is there now, in a folder of its own.
    const other = newRun();
    await prepare(other);
    expect(getRun(db, other).dataset).not.toBe(getRun(db, run).dataset);
    expect(bytesOf(first.data!.manifest)).toEqual(before);
  });

  test('says once what has changed in the folder', async () => {
    for (const name of ['a', 'b', 'c']) await add(`${name}.png`, name.charCodeAt(0));
    writeFileSync(file('notes.md'), 'no picture');
    const run = newRun();
    await prepare(run);
    await prepare(run);
    expect(said(run)).toHaveLength(1);
    writeFileSync(file('notes.md'), 'no picture, still');
    await prepare(run);
    expect(said(run)).toHaveLength(1);
    utimesSync(file('a.png'), new Date(), new Date(Date.now() + 5000));
    rmSync(file('b.txt'));
    await add('d.png', 9);
    await prepare(run);
    await prepare(run);
    expect(said(run).slice(1)).toEqual([
      `the folder has changed since this run's data set was pinned: 1 picture edited, 1 picture added, 1 caption added, 1 caption removed, such as ${file('a.png')}; this run goes on with what it began with`,
    ]);
  });

  test('says that the folder is gone, and goes on', async () => {
    await add('a.png', 1);
    const run = newRun();
    await prepare(run);
    rmSync(file('.'), { recursive: true });
    await prepare(run);
    expect(said(run)[1]).toMatch(/^the folder is gone since .* goes on with what it began with$/);
  });

  test('of the same set from two folders, each is compared with its own', async () => {
    await add('a.png', 1);
    const run = newRun();
    await prepare(run);
    const copy = join(root, 'copy');
    mkdirSync(copy);
    for (const name of ['a.png', 'a.txt'])
      writeFileSync(join(copy, name), readFileSync(file(name)));
    const other = newRun({ folder: copy });
    await prepare(other);
    expect(getRun(db, other).dataset).toBe(getRun(db, run).dataset);
    rmSync(join(copy, 'a.txt'));
    await Promise.all([prepare(run), prepare(other)]);
    expect([said(run).length, said(other).length]).toEqual([1, 2]);
    rmSync(file('a.txt'));
    await prepare(run);
    expect(said(run)[1]).toContain(`1 caption removed, such as ${file('a.txt')};`);
  });

  test('is refused if its set is gone', async () => {
    await add('a.png', 1);
    const run = newRun();
    await prepare(run);
    rmSync(homePaths(root).datasets, { recursive: true });
    await expect(prepare(run)).rejects.toMatchObject({ type: 'DATA_CHANGED' });
  });
});
