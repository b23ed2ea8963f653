/** Epochs of a run: training → trained → evaluated. */
import { and, asc, eq } from 'drizzle-orm';
import type { Db } from './connection.ts';
import { epochCheckpoint } from './checkpoints.ts';
import { appendEvent } from './events.ts';
import { holding, type Lease } from './leases.ts';
import { summarise } from './metrics.ts';
import { updateRun } from './runs.ts';
import * as schema from './schema.ts';

export type EpochRow = typeof schema.epoch.$inferSelect;
const { epoch: epochs } = schema;

export const listEpochs = (db: Db, run: string): EpochRow[] =>
  db.orm.select().from(epochs).where(eq(epochs.run, run)).orderBy(asc(epochs.epoch)).all();

/** The epoch is being trained; one that was begun before keeps its beginning. */
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
  holding(db, lease, () => {
    db.orm
      .insert(epochs)
      .values({
        run,
        epoch,
        state: 'training',
        first_step: firstStep,
        last_step: lastStep,
        started_at: Date.now(),
      })
      .onConflictDoNothing()
      .run();
    updateRun(db, run, { epoch });
  });
}

/** The base needs no training: its row begins with its evaluation. */
export function beginEvaluation(
  db: Db,
  lease: Lease,
  { run, epoch, step }: { run: string; epoch: number; step: number },
): void {
  holding(db, lease, () => {
    db.orm
      .insert(epochs)
      .values({
        run,
        epoch,
        state: 'trained',
        first_step: step,
        last_step: step,
        started_at: Date.now(),
        trained_at: Date.now(),
      })
      .onConflictDoNothing()
      .run();
    updateRun(db, run, { epoch });
  });
}

/** All steps are done: sums up the training loss over them. */
export function endEpoch(
  db: Db,
  lease: Lease,
  { run, epoch }: { run: string; epoch: number },
): void {
  holding(db, lease, () => {
    const row = listEpochs(db, run).find((one) => one.epoch === epoch);
    const loss = summarise(db, run, 'loss', row?.first_step ?? 0, row?.last_step ?? 0);
    set(db, run, epoch, {
      state: 'trained',
      trained_at: Date.now(),
      checkpoint: epochCheckpoint(db, run, epoch)?.id ?? null,
      train_loss: loss.mean,
      train_loss_deviation: loss.deviation,
      train_loss_count: loss.count,
    });
    appendEvent(db, {
      run,
      kind: 'epoch',
      epoch,
      step: row?.last_step ?? null,
      message: `epoch ${epoch} trained`,
    });
  });
}

export function markEvaluated(
  db: Db,
  lease: Lease,
  { run, epoch }: { run: string; epoch: number },
): void {
  holding(db, lease, () => {
    set(db, run, epoch, { state: 'evaluated', evaluated_at: Date.now() });
    appendEvent(db, { run, kind: 'epoch', epoch, message: `epoch ${epoch} evaluated` });
  });
}

/** Its checkpoint was lost: the epoch is trained again from the one before. */
export function reopenEpoch(
  db: Db,
  lease: Lease,
  { run, epoch }: { run: string; epoch: number },
): void {
  holding(db, lease, () =>
    set(db, run, epoch, { state: 'training', trained_at: null, checkpoint: null }),
  );
}

function set(db: Db, run: string, epoch: number, fields: Partial<EpochRow>): void {
  db.orm
    .update(epochs)
    .set(fields)
    .where(and(eq(epochs.run, run), eq(epochs.epoch, epoch)))
    .run();
}
