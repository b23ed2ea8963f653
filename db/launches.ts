/** Trainer processes: how the next worker finds a living one, or the spool of a dead one. */
import { and, asc, eq, ne } from 'drizzle-orm';
import { type Db } from './connection.ts';
import { holding, type Lease } from './leases.ts';
import * as schema from './schema.ts';

export type LaunchRow = typeof schema.launch.$inferSelect;

export interface NewLaunch {
  run: string;
  epoch: number;
  stage: 'train' | 'evaluate';
  folder: string;
}

/** Written before the process starts, so that one whose pid was never written down can be found. */
export const createLaunch = (db: Db, lease: Lease, launch: NewLaunch): LaunchRow =>
  holding(db, lease, () =>
    db.orm
      .insert(schema.launch)
      .values({ ...launch, state: 'starting', started_at: Date.now() })
      .returning()
      .get(),
  );

export function launchStarted(db: Db, lease: Lease, id: number, pid: number, start: string): void {
  holding(db, lease, () => {
    db.orm
      .update(schema.launch)
      .set({ pid, process_start: start, state: 'running' })
      .where(eq(schema.launch.id, id))
      .run();
  });
}

/** @param outcome what is known of its end, kept as JSON; null when it was never seen alive */
export function launchEnded(db: Db, lease: Lease, id: number, outcome: unknown): void {
  holding(db, lease, () => {
    db.orm
      .update(schema.launch)
      .set({ state: 'ended', outcome: JSON.stringify(outcome), ended_at: Date.now() })
      .where(eq(schema.launch.id, id))
      .run();
  });
}

/** Launches of a run that nobody has seen the end of, oldest first. */
export const openLaunches = (db: Db, run: string): LaunchRow[] =>
  db.orm
    .select()
    .from(schema.launch)
    .where(and(eq(schema.launch.run, run), ne(schema.launch.state, 'ended')))
    .orderBy(asc(schema.launch.id))
    .all();
