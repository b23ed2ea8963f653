/** Validation with fixed noise: one row an epoch and kind of weights. */
import { and, asc, eq } from 'drizzle-orm';
import type { EventOf } from '../native/protocol.ts';
import type { Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { decodeValue, encodeValue } from './metrics.ts';
import * as schema from './schema.ts';

export interface Evaluation {
  epoch: number;
  step: number;
  weights: string;
  loss: number;
  bins: { timestep: number; loss: number }[];
  items: number | null;
}

const words = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

/** A repeated evaluation of the same epoch is the same one; the first stays. */
export function addEvaluation(db: Db, run: string, event: EventOf<'validation'>): void {
  const { epoch, step, weights, loss, items } = event;
  const bins = JSON.stringify(event.bins.map((bin) => ({ ...bin, loss: words(bin.loss) })));
  const { changes } = db.raw
    .prepare(
      `INSERT OR IGNORE INTO evaluation (run, epoch, step, weights, loss, bins, items, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(run, epoch, step, weights, encodeValue(loss), bins, items ?? null, Date.now());
  if (changes === 0) return;
  const finite = Number.isFinite(loss) ? loss : null;
  db.orm
    .update(schema.epoch)
    .set({ validation_loss: finite })
    .where(and(eq(schema.epoch.run, run), eq(schema.epoch.epoch, epoch)))
    .run();
  appendEvent(db, { run, kind: 'validation', epoch, step, message: `validation loss ${loss}` });
}

export function listEvaluations(db: Db, run: string): Evaluation[] {
  const { evaluation } = schema;
  const rows = db.orm
    .select()
    .from(evaluation)
    .where(eq(evaluation.run, run))
    .orderBy(asc(evaluation.epoch))
    .all();
  return rows.map(({ epoch, step, weights, loss, bins, items }) => ({
    epoch,
    step,
    weights,
    loss: decodeValue(loss),
    bins: (JSON.parse(bins) as { timestep: number; loss: number | string }[]).map((bin) => ({
      timestep: bin.timestep,
      loss: Number(bin.loss),
    })),
    items,
  }));
}
