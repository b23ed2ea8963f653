/** Checkpoints as the record knows them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { and, desc, eq } from 'drizzle-orm';
import type { EventOf } from '../native/protocol.ts';
import { immediate, type Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { holding, type Lease } from './leases.ts';
import { newId } from './runs.ts';
import * as schema from './schema.ts';

export type CheckpointRow = typeof schema.checkpoint.$inferSelect;
export type CheckpointState = 'kept' | 'deleted' | 'corrupt';

/** Those that are on disk, newest first. */
export const keptCheckpoints = (db: Db, run: string): CheckpointRow[] =>
  db.orm
    .select()
    .from(schema.checkpoint)
    .where(and(eq(schema.checkpoint.run, run), eq(schema.checkpoint.state, 'kept')))
    .orderBy(desc(schema.checkpoint.step))
    .all();

/** The checkpoint of an epoch's last step. */
export const epochCheckpoint = (db: Db, run: string, epoch: number): CheckpointRow | undefined =>
  keptCheckpoints(db, run).find((row) => row.kind === 'epoch' && row.epoch === epoch);

export function markCheckpoint(db: Db, lease: Lease, id: string, state: CheckpointState): void {
  holding(db, lease, () => {
    db.orm.update(schema.checkpoint).set({ state }).where(eq(schema.checkpoint.id, id)).run();
  });
}

/** A folder was found damaged: no row may call it kept. */
export const markDamaged = (db: Db, lease: Lease, path: string): void =>
  holding(db, lease, () =>
    immediate(db, () => {
      db.orm
        .update(schema.checkpoint)
        .set({ state: 'corrupt' })
        .where(eq(schema.checkpoint.path, path))
        .run();
    }),
  );

/** A checkpoint that was announced again, or made again after a rewind, keeps its row. */
export function addCheckpoint(db: Db, run: string, event: EventOf<'checkpoint'>): void {
  const { step, epoch, kind, path, sha256, bytes } = event;
  const weights = weightsHash(path);
  const { changes } = db.raw
    .prepare(
      `INSERT INTO checkpoint (id, run, epoch, step, kind, path, sha256, weights_sha256, bytes, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (run, step, kind) DO UPDATE
       SET path = excluded.path, sha256 = excluded.sha256, weights_sha256 = excluded.weights_sha256,
           bytes = excluded.bytes, state = 'kept'
       WHERE state <> 'kept' OR sha256 <> excluded.sha256`,
    )
    .run(newId(), run, epoch, step, kind, path, sha256, weights, bytes, Date.now());
  if (changes > 0)
    appendEvent(db, {
      run,
      kind: 'checkpoint',
      epoch,
      step,
      message: `${kind} checkpoint at step ${step}`,
    });
}

/** From the manifest; null for a trainer that keeps its checkpoints in another way. */
function weightsHash(path: string): string | null {
  let text: string;
  try {
    text = readFileSync(join(path, 'manifest.json'), 'utf8');
  } catch (error) {
    // Pruned before its line was taken in, or no folder of ours.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
  const { files } = JSON.parse(text) as { files?: Record<string, { sha256: string }> };
  return files?.['weights.safetensors']?.sha256 ?? null;
}
