/** Runs and their states. */
import { randomBytes } from 'node:crypto';
import { desc, eq, or } from 'drizzle-orm';
import { TillerError } from '../recipes/errors.ts';
import { nearest } from '../recipes/nearest.ts';
import type { Recipe } from '../recipes/schema.ts';
import { immediate, type Db } from './connection.ts';
import { appendEvent } from './events.ts';
import * as schema from './schema.ts';

export type RunRow = typeof schema.run.$inferSelect;

export type RunState =
  | 'queued'
  | 'preparing'
  | 'waiting'
  | 'training'
  | 'evaluating'
  | 'exporting'
  | 'pausing'
  | 'paused'
  | 'stopping'
  | 'interrupted'
  | 'done'
  | 'stopped'
  | 'failed';

export const isEnded = (state: string): boolean =>
  state === 'done' || state === 'stopped' || state === 'failed';

/** An opaque name of 10 characters without vowels or look-alikes, safe in addresses and file names. */
export function newId(): string {
  const letters = 'bcdfghjkmnpqrstvwxz23456789';
  let id = '';
  // 243 = 9 · 27: bytes above it would favour some letters.
  while (id.length < 10)
    for (const byte of randomBytes(16)) if (byte < 243 && id.length < 10) id += letters[byte % 27];
  return id;
}

export interface NewRun {
  name: string;
  recipe: Recipe;
  recipeHash: string;
  trainer: string;
  device: string;
  threads: number;
  priority: number;
  epochs: number;
  parentRun?: string;
  parentEpoch?: number;
}

/** A taken name gets a number: emoji, emoji-2, emoji-3 … */
export const createRun = (db: Db, run: NewRun): RunRow =>
  immediate(db, () => {
    const now = Date.now();
    const id = newId();
    db.orm
      .insert(schema.run)
      .values({
        id,
        name: freeName(db, run.name),
        created_at: now,
        recipe: JSON.stringify(run.recipe),
        recipe_hash: run.recipeHash,
        trainer: run.trainer,
        device: run.device,
        threads: run.threads,
        priority: run.priority,
        state: 'queued',
        state_at: now,
        epochs: run.epochs,
        parent_run: run.parentRun ?? null,
        parent_epoch: run.parentEpoch ?? null,
      })
      .run();
    run.recipe.samples.prompts.forEach(({ text, negative }, position) => {
      db.orm
        .insert(schema.prompt)
        .values({ id: `${id}-${position}`, run: id, position, text, negative })
        .run();
    });
    appendEvent(db, { run: id, kind: 'state', message: 'queued' });
    return getRun(db, id);
  });

function freeName(db: Db, wanted: string): string {
  const taken = new Set(
    db.orm
      .select({ name: schema.run.name })
      .from(schema.run)
      .all()
      .map(({ name }) => name),
  );
  if (!taken.has(wanted)) return wanted;
  for (let number = 2; ; number += 1)
    if (!taken.has(`${wanted}-${number}`)) return `${wanted}-${number}`;
}

export function getRun(db: Db, id: string): RunRow {
  const row = db.orm.select().from(schema.run).where(eq(schema.run.id, id)).get();
  if (row === undefined) throw new TillerError('RUN_NOT_FOUND', `There is no run ${id}`);
  return row;
}

/** By name or id. Errors: RUN_NOT_FOUND with the nearest name. */
export function findRun(db: Db, nameOrId: string): RunRow {
  const { run } = schema;
  const row = db.orm
    .select()
    .from(run)
    .where(or(eq(run.name, nameOrId), eq(run.id, nameOrId)))
    .get();
  if (row !== undefined) return row;
  const names = listRuns(db).map(({ name }) => name);
  const close = nearest(nameOrId, names);
  throw new TillerError('RUN_NOT_FOUND', `There is no run ${nameOrId}`, {
    hint: close === undefined ? 'See `tiller runs`.' : `Did you mean ${close}?`,
  });
}

export const listRuns = (db: Db): RunRow[] =>
  db.orm.select().from(schema.run).orderBy(desc(schema.run.created_at)).all();

export const recipeOf = ({ recipe }: Pick<RunRow, 'recipe'>): Recipe =>
  JSON.parse(recipe) as Recipe;

export function setRunState(
  db: Db,
  id: string,
  state: RunState,
  { reason, code }: { reason?: string; code?: string } = {},
): void {
  immediate(db, () => {
    const before = getRun(db, id);
    if (before.state === state && before.state_reason === (reason ?? null)) return;
    const now = Date.now();
    updateRun(db, id, {
      state,
      state_reason: reason ?? null,
      state_code: code ?? null,
      state_at: now,
      ...(before.started_at === null && (state === 'training' || state === 'evaluating')
        ? { started_at: now }
        : {}),
    });
    appendEvent(db, {
      run: id,
      kind: 'state',
      message: reason === undefined ? state : `${state}: ${reason}`,
      code: code ?? null,
    });
  });
}

export function updateRun(db: Db, id: string, fields: Partial<Omit<RunRow, 'id'>>): void {
  db.orm.update(schema.run).set(fields).where(eq(schema.run.id, id)).run();
}
