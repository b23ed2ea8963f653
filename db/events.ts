/** What happened, in order: the pages' live updates and a run's history. */
import { and, asc, eq, gt } from 'drizzle-orm';
import type { Db } from './connection.ts';
import * as schema from './schema.ts';

export type EventRow = typeof schema.event.$inferSelect;

export interface NewEvent {
  run?: string | null;
  kind: string;
  message: string;
  epoch?: number | null;
  step?: number | null;
  code?: string | null;
  data?: unknown;
}

export function appendEvent(db: Db, { data, ...event }: NewEvent): void {
  const json = data === undefined ? null : JSON.stringify(data);
  db.orm
    .insert(schema.event)
    .values({ ...event, at: Date.now(), data: json })
    .run();
}

/** Events behind `id`, oldest first. */
export const eventsAfter = (db: Db, id: number, run?: string, limit = 1_000): EventRow[] =>
  db.orm
    .select()
    .from(schema.event)
    .where(and(gt(schema.event.id, id), run === undefined ? undefined : eq(schema.event.run, run)))
    .orderBy(asc(schema.event.id))
    .limit(limit)
    .all();
