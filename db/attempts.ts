/** Activity attempts under way, with the tokens by which a new worker fails those of dead owners. */
import { and, eq } from './drizzle.ts';
import type { Db } from './connection.ts';
import { isAlive } from './processes.ts';
import { attempt as table } from './schema.ts';

export type AttemptRow = typeof table.$inferSelect;

export function saveAttempt(db: Db, attempt: Omit<AttemptRow, 'at'>): void {
  const row = { ...attempt, at: Date.now() };
  db.orm.insert(table).values(row).onConflictDoUpdate({ target: table.activity, set: row }).run();
}

/** A newer attempt of the same activity, which has another token, stays. */
export function removeAttempt(db: Db, activity: string, token: string): void {
  db.orm
    .delete(table)
    .where(and(eq(table.activity, activity), eq(table.token, token)))
    .run();
}

export const deadAttempts = (db: Db): AttemptRow[] =>
  db.orm
    .select()
    .from(table)
    .all()
    .filter(({ pid, process_start: start }) => !isAlive(pid, start));
