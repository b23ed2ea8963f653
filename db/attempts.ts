/** Activity attempts under way, with the tokens by which a dead worker's can be given back. */
import { and, eq } from 'drizzle-orm';
import type { Db } from './connection.ts';
import { isAlive } from './processes.ts';
import * as schema from './schema.ts';

export type AttemptRow = typeof schema.attempt.$inferSelect;

export function saveAttempt(db: Db, attempt: Omit<AttemptRow, 'at'>): void {
  const fields = { ...attempt, at: Date.now() };
  db.orm
    .insert(schema.attempt)
    .values(fields)
    .onConflictDoUpdate({ target: schema.attempt.activity, set: fields })
    .run();
}

/** Only the attempt of this token: a newer one of the same activity stays. */
export function removeAttempt(db: Db, activity: string, token: string): void {
  const { attempt } = schema;
  db.orm
    .delete(attempt)
    .where(and(eq(attempt.activity, activity), eq(attempt.token, token)))
    .run();
}

export const deadAttempts = (db: Db): AttemptRow[] =>
  db.orm
    .select()
    .from(schema.attempt)
    .all()
    .filter(({ pid, process_start: start }) => !isAlive(pid, start));
