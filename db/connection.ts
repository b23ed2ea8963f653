/** A connection to the record: SQLite in WAL mode, one writer at a time, no read ever waits. */
import Database from 'better-sqlite3';
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3';
import { drizzle } from './drizzle.ts';
import { TillerError } from '../recipes/errors.ts';
import * as schema from './schema.ts';

export interface Db {
  /** For prepared statements on hot paths; see `prepared`. */
  readonly raw: Database.Database;
  readonly orm: BetterSQLite3Database<typeof schema>;
  readonly file: string;
  close(): void;
}

export interface OpenOptions {
  readonly?: boolean;
  /** A commit is on the disk when it returns, whatever then happens to the machine's power. */
  durable?: boolean;
}

const BUSY_TIMEOUT_MS = 5_000;
/** Holds a curve of millions of steps, so that zooming in reads it from the disk once. */
const CACHE_KIB = 32 * 1024;

/** Opens a record that `migrate` has made. Errors: RECORD_CORRUPT, RECORD_BUSY, DISK_FULL. */
export function openRecord(
  file: string,
  { readonly = false, durable = false }: OpenOptions = {},
): Db {
  const raw = openRaw(file, { readonly, fileMustExist: true });
  try {
    if (!readonly) raw.pragma(`synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
    raw.pragma('foreign_keys = ON');
  } catch (error) {
    raw.close();
    throw recordError(error, file);
  }
  return { raw, orm: drizzle(raw, { schema }), file, close: () => raw.close() };
}

/** The bare handle, in WAL mode. Whoever takes it closes it. */
export function openRaw(file: string, options: Database.Options = {}): Database.Database {
  let raw: Database.Database | undefined;
  try {
    raw = new Database(file, { ...options, timeout: BUSY_TIMEOUT_MS });
    // Several processes share the file: one that maps it would see a truncation as a SIGBUS.
    raw.pragma('mmap_size = 0');
    raw.pragma(`cache_size = -${CACHE_KIB}`);
    if (options.readonly !== true) enterWal(raw);
    // Reads the first pages: a file that is no database says so here and not in the midst of work.
    raw.prepare('SELECT count(*) FROM sqlite_schema').get();
    return raw;
  } catch (error) {
    raw?.close();
    throw recordError(error, file);
  }
}

/** Only the first opening of a new file changes anything; SQLite does not wait for that lock. */
function enterWal(raw: Database.Database): void {
  const end = Date.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      raw.pragma('journal_mode = WAL');
      return;
    } catch (error) {
      if (codeOf(error) !== 'SQLITE_BUSY' || Date.now() > end) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

/**
 * Runs `fn` in a transaction that holds the write lock from its first line. A transaction that reads
 * first and then writes fails busy at once when another one wrote in between, whatever the timeout.
 * Inside another `immediate` it is a savepoint. Errors: RECORD_BUSY, RECORD_CORRUPT, DISK_FULL.
 */
export function immediate<Result>(db: Db, fn: () => Result): Result {
  try {
    return db.raw.transaction(fn).immediate();
  } catch (error) {
    throw recordError(error, db.file);
  }
}

const statements = new WeakMap<Database.Database, Map<string, Database.Statement>>();

/** The statement, prepared once a connection. */
export function prepared<Parameters extends unknown[], Row = unknown>(
  db: Db,
  sql: string,
): Database.Statement<Parameters, Row> {
  let known = statements.get(db.raw);
  if (known === undefined) statements.set(db.raw, (known = new Map()));
  let statement = known.get(sql);
  if (statement === undefined) known.set(sql, (statement = db.raw.prepare(sql)));
  return statement as unknown as Database.Statement<Parameters, Row>;
}

/** By its code and not by its class: where the module is loaded twice, there are two. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : '';
}

/** SQLite's error as one of ours, where a person can do something about it. */
export function recordError(error: unknown, file: string): unknown {
  const code = codeOf(error);
  if (code.startsWith('SQLITE_BUSY')) {
    return new TillerError('RECORD_BUSY', `Another process kept the record ${file} locked`, {
      hint: 'Try again; if it stays so, see which program has the file open.',
      cause: error,
    });
  }
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) {
    return new TillerError('RECORD_CORRUPT', `The record ${file} is not a readable SQLite file`, {
      hint: 'Move it away and put a backup in its place (tiller.db.v*.backup lies beside it).',
      cause: error,
    });
  }
  if (code.startsWith('SQLITE_CANTOPEN')) {
    return new TillerError('RECORD_CORRUPT', `The record ${file} cannot be opened`, {
      hint: 'Check that it is there and that you may read and write it.',
      cause: error,
    });
  }
  if (code.startsWith('SQLITE_READONLY')) {
    return new TillerError('HOME_UNWRITABLE', `The record ${file} can be read and not written`, {
      hint: 'Check the permissions of the file and of its folder.',
      cause: error,
    });
  }
  // The second: the index of the WAL could not grow.
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE') {
    return new TillerError('DISK_FULL', `No space is left for the record ${file}`, {
      hint: 'Free some space: work goes on by itself.',
      cause: error,
    });
  }
  return error;
}
