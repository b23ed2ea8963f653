/** Epochs: begun, trained, evaluated. Epoch 0 is the untouched base. */
import { and, asc, eq } from './drizzle.ts';
import { TillerError } from '../recipes/errors.ts';
import { epochCheckpoint } from './checkpoints.ts';
import type { Db } from './connection.ts';
import { judgedEvaluation } from './evaluations.ts';
import { appendEvent } from './events.ts';
import { finiteOrNull } from './figures.ts';
import { leased, type Lease } from './leases.ts';
import { readColumns } from './metrics.ts';
import { getRun, updateRun } from './runs.ts';
import { epoch as table } from './schema.ts';

export type EpochRow = typeof table.$inferSelect;

export const listEpochs = (db: Db, run: string): EpochRow[] =>
  db.orm.select().from(table).where(eq(table.run, run)).orderBy(asc(table.epoch)).all();

/** Errors: EPOCH_NOT_FOUND. */
export function getEpoch(db: Db, run: string, epoch: number): EpochRow {
  const row = findEpoch(db, run, epoch);
  if (row !== undefined) return row;
  const known = listEpochs(db, run).map((other) => other.epoch);
  throw new TillerError('EPOCH_NOT_FOUND', `The run has no epoch ${epoch}`, {
    hint: known.length === 0 ? 'It has none yet.' : `It has ${known[0]} to ${known.at(-1)}.`,
  });
}

export const findEpoch = (db: Db, run: string, epoch: number): EpochRow | undefined =>
  db.orm
    .select()
    .from(table)
    .where(and(eq(table.run, run), eq(table.epoch, epoch)))
    .get();

/** An epoch that was begun before keeps its beginning, and one that is trained stays so. */
export function beginEpoch(
  db: Db,
  lease: Lease,
  {
    run,
    epoch,
    firstStep,
    lastStep,
  }: { run: string; epoch: number; firstStep: number; lastStep: number },
): void {
  leased(db, lease, run, () => {
    insert(db, {
      run,
      epoch,
      state: 'training',
      first_step: firstStep,
      last_step: lastStep,
      started_at: Date.now(),
    });
    updateRun(db, run, { epoch });
  });
}

/** All its steps are in the record: notes what they came to. */
export function endEpoch(
  db: Db,
  lease: Lease,
  { run, epoch }: { run: string; epoch: number },
): void {
  leased(db, lease, run, () => {
    const row = getEpoch(db, run, epoch);
    const losses = readColumns(db, run, 'loss', row.first_step + 1, row.last_step).values;
    const { mean, deviation, n } = spread(losses);
    change(db, run, epoch, {
      state: row.state === 'evaluated' ? row.state : 'trained',
      trained_at: row.trained_at ?? Date.now(),
      checkpoint: epochCheckpoint(db, run, epoch)?.id ?? null,
      validation_loss: finiteOrNull(judgedEvaluation(db, run, epoch)?.loss),
      train_loss: mean,
      train_loss_deviation: deviation,
      train_loss_count: n,
    });
    const step = row.last_step;
    appendEvent(db, { run, kind: 'epoch', epoch, step, message: `epoch ${epoch} trained` });
  });
}

/** The base has no training before its evaluation; other epochs have begun already. */
export function beginEvaluation(
  db: Db,
  lease: Lease,
  { run, epoch, step }: { run: string; epoch: number; step: number },
): void {
  leased(db, lease, run, () => {
    const now = Date.now();
    insert(db, {
      run,
      epoch,
      state: 'trained',
      first_step: step,
      last_step: step,
      started_at: now,
    });
    // An older one may be evaluated again.
    updateRun(db, run, { epoch: Math.max(epoch, getRun(db, run).epoch) });
  });
}

export function markEvaluated(
  db: Db,
  lease: Lease,
  { run, epoch }: { run: string; epoch: number },
): void {
  leased(db, lease, run, () => {
    const row = getEpoch(db, run, epoch);
    change(db, run, epoch, {
      state: 'evaluated',
      evaluated_at: row.evaluated_at ?? Date.now(),
      validation_loss: finiteOrNull(judgedEvaluation(db, run, epoch)?.loss),
    });
    const step = row.last_step;
    appendEvent(db, { run, kind: 'epoch', epoch, step, message: `epoch ${epoch} evaluated` });
  });
}

/** Its checkpoint is lost: it is trained again, from the one before. */
export function reopenEpoch(
  db: Db,
  lease: Lease,
  { run, epoch }: { run: string; epoch: number },
): void {
  leased(db, lease, run, () => {
    change(db, run, epoch, { state: 'training', trained_at: null, checkpoint: null });
  });
}

function insert(db: Db, row: typeof table.$inferInsert): void {
  db.orm.insert(table).values(row).onConflictDoNothing().run();
}

function change(db: Db, run: string, epoch: number, changes: Partial<EpochRow>): void {
  db.orm
    .update(table)
    .set(changes)
    .where(and(eq(table.run, run), eq(table.epoch, epoch)))
    .run();
}

/** Mean and standard deviation (of a sample) of what is finite. */
export function spread(values: ArrayLike<number>): {
  mean: number | null;
  deviation: number | null;
  n: number;
} {
  let n = 0;
  let mean = 0;
  let squares = 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (!Number.isFinite(value)) continue;
    n += 1;
    const delta = value - mean;
    mean += delta / n;
    squares += delta * (value - mean);
  }
  return {
    mean: n === 0 ? null : mean,
    deviation: n < 2 ? null : Math.sqrt(squares / (n - 1)),
    n,
  };
}
