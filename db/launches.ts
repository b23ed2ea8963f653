/** Trainer processes: how the next worker finds a living one, or the spool of a dead one. */
import { and, asc, eq, isNull, ne } from './drizzle.ts';
import { TillerError } from '../recipes/errors.ts';
import type { Db } from './connection.ts';
import { leased, type Lease } from './leases.ts';
import { launch as table, request } from './schema.ts';

export type LaunchRow = typeof table.$inferSelect;
export type Stage = 'train' | 'evaluate';

/** Written before the process starts, so that none is ever unknown. */
export const createLaunch = (
  db: Db,
  lease: Lease,
  launch: { run: string; epoch: number; stage: Stage; folder: string },
): LaunchRow =>
  leased(db, lease, launch.run, () =>
    db.orm
      .insert(table)
      .values({ ...launch, state: 'starting', started_at: Date.now() })
      .returning()
      .get(),
  );

export function launchStarted(db: Db, lease: Lease, id: number, pid: number, start: string): void {
  change(db, lease, id, { pid, process_start: start, state: 'running' });
}

/** @param outcome how it ended, as far as anyone knows. A launch that has ended stays as it is. */
export function launchEnded(db: Db, lease: Lease, id: number, outcome: unknown): void {
  leased(db, lease, lease.run, () => {
    if (getLaunch(db, id).state === 'ended') return;
    const told = outcome === null || outcome === undefined ? null : JSON.stringify(outcome);
    const over = { preview: null, progress: null, ended_at: Date.now() };
    change(db, lease, id, { state: 'ended', outcome: told, ...over });
    // What it was told and had not done is for the next one.
    db.orm
      .update(request)
      .set({ delivered_at: null })
      .where(and(eq(request.run, lease.run), isNull(request.done_at), isNull(request.refused)))
      .run();
  });
}

function change(db: Db, lease: Lease, id: number, changes: Partial<LaunchRow>): void {
  leased(db, lease, getLaunch(db, id).run, () => {
    db.orm.update(table).set(changes).where(eq(table.id, id)).run();
  });
}

/** Errors: INTERNAL when there is none. */
export function getLaunch(db: Db, id: number): LaunchRow {
  const row = db.orm.select().from(table).where(eq(table.id, id)).get();
  if (row === undefined) throw new TillerError('INTERNAL', `There is no launch ${id}`);
  return row;
}

/** Those that have not ended, oldest first. */
export const openLaunches = (db: Db, run: string): LaunchRow[] =>
  db.orm
    .select()
    .from(table)
    .where(and(eq(table.run, run), ne(table.state, 'ended')))
    .orderBy(asc(table.id))
    .all();
