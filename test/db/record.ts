/** A real record in a folder of its own, for tests of the room. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { immediate, openRecord, type Db } from '../../db/connection.ts';
import { createLaunch, type LaunchRow } from '../../db/launches.ts';
import { takeLease, type Lease } from '../../db/leases.ts';
import { appendColumns, type Point } from '../../db/metrics.ts';
import { migrate } from '../../db/migrate.ts';
import { createRun, type NewRun, type RunRow } from '../../db/runs.ts';
import { recipeSchema, type RecipeInput } from '../../recipes/schema.ts';

const open: Db[] = [];
const folders: string[] = [];

afterEach(() => {
  for (const db of open.splice(0)) db.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tiller-db-'));
  folders.push(folder);
  return folder;
}

export function newRecord(): Db {
  const file = join(temporaryFolder(), 'tiller.db');
  migrate(file);
  return reopen(file);
}

/** Another connection to the same file. */
export function reopen(file: string): Db {
  const db = openRecord(file);
  open.push(db);
  return db;
}

export function newRun(db: Db, input: RecipeInput = {}, fields: Partial<NewRun> = {}): RunRow {
  const recipe = recipeSchema.parse(input);
  return createRun(db, {
    name: recipe.name,
    recipe,
    recipeHash: 'hash',
    device: 'cpu',
    threads: 1,
    priority: recipe.priority,
    epochs: recipe.train.epochs,
    trainer: 'test',
    ...fields,
  });
}

export interface Working {
  db: Db;
  run: string;
  lease: Lease;
  launch: LaunchRow;
}

/** A run with a lease and a launch, as a trainer's follower has it. */
export function working(input: RecipeInput = {}): Working {
  const db = newRecord();
  const { id: run } = newRun(db, input);
  const lease = takeLease(db, run, 'test:1');
  return { db, run, lease, launch: newLaunch(db, lease) };
}

/** Adds points in any order, as no trainer would. */
export function appendPoints(db: Db, run: string, name: string, points: readonly Point[]): void {
  const unique = new Map<number, number>();
  for (const { step, value } of points) if (!unique.has(step)) unique.set(step, value);
  const steps = Float64Array.from(unique.keys()).sort();
  const values = steps.map((step) => unique.get(step)!);
  immediate(db, () => appendColumns(db, run, name, { steps, values }));
}

export const newLaunch = (db: Db, lease: Lease, epoch = 1): LaunchRow =>
  createLaunch(db, lease, { run: lease.run, epoch, stage: 'train', folder: '/nowhere' });
