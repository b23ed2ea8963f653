/** Checkpoints that a trainer published. Those on disk count, even if no line of theirs was taken in. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { and, desc, eq, or } from './drizzle.ts';
import { prepared, type Db } from './connection.ts';
import { newId } from './ids.ts';
import { leased, type Lease } from './leases.ts';
import { checkpoint as table, epoch as epochTable } from './schema.ts';

export type CheckpointRow = typeof table.$inferSelect;
export type CheckpointState = 'kept' | 'deleted' | 'corrupt';

const newestFirst = [desc(table.step), desc(table.created_at), desc(table.id)] as const;

/** The one that an epoch ended with. */
export function epochCheckpoint(db: Db, run: string, epoch: number): CheckpointRow | undefined {
  const ofEpoch = and(eq(table.run, run), eq(table.epoch, epoch), eq(table.state, 'kept'));
  const last = db.orm
    .select({ step: epochTable.last_step })
    .from(epochTable)
    .where(and(eq(epochTable.run, run), eq(epochTable.epoch, epoch)))
    .get();
  return db.orm
    .select()
    .from(table)
    .where(and(ofEpoch, or(eq(table.kind, 'epoch'), last && eq(table.step, last.step))))
    .orderBy(desc(eq(table.kind, 'epoch')), ...newestFirst)
    .limit(1)
    .get();
}

/** Newest first. */
export const keptCheckpoints = (db: Db, run: string): CheckpointRow[] =>
  db.orm
    .select()
    .from(table)
    .where(and(eq(table.run, run), eq(table.state, 'kept')))
    .orderBy(...newestFirst)
    .all();

export function markCheckpoint(db: Db, lease: Lease, id: string, state: CheckpointState): void {
  leased(db, lease, lease.run, () => {
    db.orm
      .update(table)
      .set({ state })
      .where(and(eq(table.id, id), eq(table.run, lease.run)))
      .run();
  });
}

/** A folder was found damaged: no row may call it kept. */
export function markDamaged(db: Db, lease: Lease, path: string): void {
  leased(db, lease, lease.run, () => {
    db.orm
      .update(table)
      .set({ state: 'corrupt' })
      .where(and(eq(table.path, path), eq(table.run, lease.run)))
      .run();
  });
}

export interface PublishedCheckpoint {
  run: string;
  epoch: number;
  step: number;
  kind: string;
  path: string;
  sha256: string;
  bytes: number;
}

/**
 * Inside ingest's transaction. A step that was trained again may publish its checkpoint again, which
 * may have been deleted in between: it is kept again.
 * @returns the hashes of its weights before and now, if they are not the same
 */
export function saveCheckpoint(
  db: Db,
  published: PublishedCheckpoint,
): { before: string; now: string } | undefined {
  const { run, step, kind } = published;
  const weights = weightsHash(published.path);
  const known = prepared<[string, number, string], CheckpointRow>(
    db,
    'SELECT * FROM checkpoint WHERE run = ? AND step = ? AND kind = ?',
  ).get(run, step, kind);
  const row = { ...published, weights_sha256: weights, created_at: Date.now(), state: 'kept' };
  if (known === undefined) {
    db.orm
      .insert(table)
      .values({ id: newId(), ...row })
      .run();
    return undefined;
  }
  db.orm.update(table).set(row).where(eq(table.id, known.id)).run();
  const before = known.weights_sha256;
  if (before === null || weights === null || before === weights) return undefined;
  return { before, now: weights };
}

/** From its manifest; null where there is none, as with a trainer that keeps other files. */
function weightsHash(path: string): string | null {
  try {
    const { files } = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8')) as {
      files?: Record<string, { sha256?: string }>;
    };
    return files?.['weights.safetensors']?.sha256 ?? null;
  } catch (error) {
    // Gone by now (a rolling one whose line is taken in late), or not JSON: loading it will tell.
    if (error instanceof SyntaxError) return null;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}
