/** Opens the record. One connection a process; better-sqlite3 is synchronous. */
import Database from 'better-sqlite3';
import { drizzle, type BetterSQLite3Database } from 'drizzle-orm/better-sqlite3';
import { TillerError } from '../recipes/errors.ts';
import * as schema from './schema.ts';

export interface Db {
  readonly raw: Database.Database;
  readonly orm: BetterSQLite3Database<typeof schema>;
  readonly file: string;
  close(): void;
}

export interface OpenOptions {
  readonly?: boolean;
  /** Every commit reaches the disk (synchronous=FULL): for whoever writes leases and checkpoints. */
  durable?: boolean;
}

/** Errors: RECORD_CORRUPT when the file is not a record. It must have been migrated (`migrate.ts`). */
export function openRecord(
  file: string,
  { readonly = false, durable = false }: OpenOptions = {},
): Db {
  try {
    const raw = new Database(file, { readonly, timeout: 5_000 });
    raw.pragma('journal_mode = WAL');
    raw.pragma(`synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
    raw.pragma('foreign_keys = ON');
    // Several processes: a shared map of a file that another one truncates ends in SIGBUS.
    raw.pragma('mmap_size = 0');
    return { raw, orm: drizzle(raw, { schema }), file, close: () => raw.close() };
  } catch (error) {
    throw asRecordError(error, file);
  }
}

export function asRecordError(error: unknown, file: string): unknown {
  const code = (error as { code?: unknown }).code;
  if (code !== 'SQLITE_NOTADB' && code !== 'SQLITE_CORRUPT') return error;
  return new TillerError('RECORD_CORRUPT', `The record ${file} is not a readable SQLite database`, {
    hint: 'Put a backup in its place (migrations leave one beside it), or move it away to begin anew.',
    cause: error,
  });
}

/** Runs `fn` in BEGIN IMMEDIATE: it waits for other writers up front and never fails half-way as busy. */
export const immediate = <Result>(db: Db, fn: () => Result): Result =>
  db.raw.inTransaction ? fn() : db.raw.transaction(fn).immediate();
