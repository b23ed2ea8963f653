/** Runs: made once, found by name or id, moved from state to state. */
import { asc, desc, eq } from './drizzle.ts';
import { TillerError } from '../recipes/errors.ts';
import { nearest } from '../recipes/nearest.ts';
import type { Recipe } from '../recipes/schema.ts';
import { immediate, prepared, type Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { newId } from './ids.ts';
import { checkLease, type Lease } from './leases.ts';
import { addPrompt } from './prompts.ts';
import { run as table } from './schema.ts';

export type RunRow = typeof table.$inferSelect;
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

export const TERMINAL_STATES: readonly string[] = ['done', 'stopped', 'failed'];
export const isEnded = (state: string): boolean => TERMINAL_STATES.includes(state);

/** States in which a run has begun to cost time. */
const WORKING: readonly string[] = ['preparing', 'training', 'evaluating', 'exporting'];
const LONGEST_NAME = 64;

export interface NewRun {
  name: string;
  recipe: Recipe;
  recipeHash: string;
  device: string;
  threads: number;
  priority: number;
  epochs: number;
  trainer: string;
  parentRun?: string | null;
  parentEpoch?: number | null;
}

/** A name that is taken gets a number: name-2, name-3 … */
export function createRun(db: Db, wanted: NewRun): RunRow {
  return immediate(db, () => {
    const id = newId();
    const at = Date.now();
    const name = freeName(db, wanted.name);
    db.orm
      .insert(table)
      .values({
        id,
        name,
        created_at: at,
        recipe: JSON.stringify(wanted.recipe),
        recipe_hash: wanted.recipeHash,
        trainer: wanted.trainer,
        device: wanted.device,
        threads: wanted.threads,
        priority: wanted.priority,
        state: 'queued',
        state_at: at,
        epochs: wanted.epochs,
        parent_run: wanted.parentRun ?? null,
        parent_epoch: wanted.parentEpoch ?? null,
      })
      .run();
    for (const prompt of wanted.recipe.samples.prompts) addPrompt(db, id, prompt, 0);
    appendEvent(db, { run: id, kind: 'state', message: 'queued', data: { state: 'queued' } });
    return getRun(db, id);
  });
}

function freeName(db: Db, wanted: string): string {
  const taken = prepared<[string], unknown>(db, 'SELECT 1 FROM run WHERE name = ?');
  let name = wanted;
  for (let number = 2; taken.get(name) !== undefined; number++) {
    const suffix = `-${number}`;
    name = wanted.slice(0, LONGEST_NAME - suffix.length) + suffix;
  }
  return name;
}

/** Errors: RUN_NOT_FOUND. */
export function getRun(db: Db, id: string): RunRow {
  const row = prepared<[string], RunRow>(db, 'SELECT * FROM run WHERE id = ?').get(id);
  if (row !== undefined) return row;
  throw new TillerError('RUN_NOT_FOUND', `No run has the id ${id}`, { hint: 'See `tiller runs`.' });
}

/** By name, else by id. Errors: RUN_NOT_FOUND, with the nearest name. */
export function findRun(db: Db, nameOrId: string): RunRow {
  const byName = db.orm.select().from(table).where(eq(table.name, nameOrId)).get();
  const found = byName ?? db.orm.select().from(table).where(eq(table.id, nameOrId)).get();
  if (found !== undefined) return found;
  const names = db.orm.select({ name: table.name }).from(table).orderBy(asc(table.name)).all();
  const near = nearest(
    nameOrId,
    names.map(({ name }) => name),
  );
  throw new TillerError('RUN_NOT_FOUND', `No run is called ${nameOrId}`, {
    hint: near === undefined ? 'See `tiller runs`.' : `Did you mean ${near}? See \`tiller runs\`.`,
  });
}

/** Newest first. */
export const listRuns = (db: Db): RunRow[] =>
  db.orm.select().from(table).orderBy(desc(table.created_at), desc(table.id)).all();

export const recipeOf = (run: Pick<RunRow, 'recipe'>): Recipe => JSON.parse(run.recipe) as Recipe;

/** Says it in the feed too; saying the same again changes nothing. With a lease, an older one is refused. */
export function setRunState(
  db: Db,
  id: string,
  state: RunState,
  { reason, code, lease }: { reason?: string; code?: string; lease?: Lease } = {},
): void {
  immediate(db, () => {
    if (lease !== undefined) checkLease(db, lease);
    const before = getRun(db, id);
    const same =
      before.state === state &&
      before.state_reason === (reason ?? null) &&
      before.state_code === (code ?? null);
    if (same) return;
    const at = Date.now();
    updateRun(db, id, {
      state,
      state_at: at,
      state_reason: reason ?? null,
      state_code: code ?? null,
      started_at: before.started_at ?? (WORKING.includes(state) ? at : null),
      ended_at: isEnded(state) ? at : null,
    });
    appendEvent(db, {
      run: id,
      kind: 'state',
      code,
      epoch: before.epoch,
      step: before.step,
      message: reason === undefined ? state : `${state}: ${reason}`,
      data: { state, from: before.state },
    });
  });
}

export function updateRun(db: Db, id: string, changes: Partial<Omit<RunRow, 'id'>>): void {
  db.orm.update(table).set(changes).where(eq(table.id, id)).run();
}
