/** What happened to a run, in order: the pages' live feed, and the marks on its curves. */
import { and, asc, eq, gt } from './drizzle.ts';
import { prepared, type Db } from './connection.ts';
import { event } from './schema.ts';

export type EventRow = typeof event.$inferSelect;

export interface NewEvent {
  run?: string | null;
  kind: string;
  message: string;
  epoch?: number | null | undefined;
  step?: number | null | undefined;
  code?: string | null | undefined;
  /** anything that JSON can hold */
  data?: unknown;
}

/** @returns its id */
export function appendEvent(
  db: Db,
  { run, kind, message, epoch, step, code, data }: NewEvent,
): number {
  const { lastInsertRowid } = prepared(
    db,
    `INSERT INTO event (run, at, kind, epoch, step, code, message, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    run ?? null,
    Date.now(),
    kind,
    epoch ?? null,
    step ?? null,
    code ?? null,
    message,
    data === undefined ? null : JSON.stringify(data),
  );
  return Number(lastInsertRowid);
}

/** Whether something was said of a run already. */
export const hasEvent = (db: Db, run: string, code: string): boolean =>
  db.orm
    .select({ id: event.id })
    .from(event)
    .where(and(eq(event.run, run), eq(event.code, code)))
    .limit(1)
    .get() !== undefined;

/** Oldest first. */
export const eventsAfter = (db: Db, id: number, run?: string, limit = 1_000): EventRow[] =>
  db.orm
    .select()
    .from(event)
    .where(and(gt(event.id, id), run === undefined ? undefined : eq(event.run, run)))
    .orderBy(asc(event.id))
    .limit(limit)
    .all();
