/** Brings a record to this version's schema: numbered SQL files, one direction, a backup first. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type Database from 'better-sqlite3';
import { TillerError } from '../recipes/errors.ts';
import { openRaw, recordError } from './connection.ts';

export interface Migrated {
  from: number;
  to: number;
  /** The file as it was before. */
  backup?: string;
}

export interface Migration {
  number: number;
  file: string;
}

const MIGRATIONS = join(import.meta.dirname, '..', 'migrations');
/** "TILL": tells a record from the SQLite files of other programs. */
const APPLICATION_ID = 0x54494c4c;

/**
 * Makes the record if it is not there. Safe when several processes do it at once.
 * Errors: RECORD_NEWER, RECORD_CORRUPT, RECORD_BUSY, DISK_FULL.
 */
export function migrate(file: string, { folder = MIGRATIONS }: { folder?: string } = {}): Migrated {
  const migrations = listMigrations(folder);
  const to = migrations.length;
  mkdirSync(dirname(file), { recursive: true });
  const raw = openRaw(file);
  try {
    const from = versionOf(raw);
    refuseForeign(raw, file, from);
    if (from > to) throw newer(file, from, to);
    if (from === to) return { from, to };
    const backup = from === 0 ? undefined : writeBackup(raw, file, from);
    const done = apply(raw, file, migrations);
    if (done || backup === undefined)
      return { from, to, ...(backup === undefined ? {} : { backup }) };
    // Another process was quicker, and has a backup of its own.
    rmSync(backup);
    return { from, to };
  } catch (error) {
    throw recordError(error, file);
  } finally {
    raw.close();
  }
}

/** The migrations in order. Their numbers are 1, 2, 3 … without a gap: the version is their count. */
export function listMigrations(folder: string = MIGRATIONS): Migration[] {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  return files.map((name, index) => {
    const number = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1] ?? Number.NaN);
    if (number !== index + 1) {
      throw new TillerError('INTERNAL', `Migration ${name} should have number ${index + 1}`);
    }
    return { number, file: join(folder, name) };
  });
}

const versionOf = (raw: Database.Database): number =>
  raw.pragma('user_version', { simple: true }) as number;

function refuseForeign(raw: Database.Database, file: string, version: number): void {
  const application = raw.pragma('application_id', { simple: true });
  const empty = raw.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
  if (application === APPLICATION_ID || (empty && version === 0 && application === 0)) return;
  throw new TillerError(
    'RECORD_CORRUPT',
    `${file} is a SQLite file, but not a record of Tiller's`,
    {
      hint: 'Move it away, or name another home in TILLER_HOME.',
    },
  );
}

const newer = (file: string, version: number, known: number): TillerError =>
  new TillerError(
    'RECORD_NEWER',
    `The record ${file} has schema version ${version}, and this Tiller knows versions up to ${known}`,
    { hint: 'Update Tiller, or put the backup of the older record back.' },
  );

/** Reads every row: a damaged record fails here and is left as it is. */
function writeBackup(raw: Database.Database, file: string, version: number): string {
  const temporary = `${file}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  raw.prepare('VACUUM INTO ?').run(temporary);
  sync(temporary);
  let backup = `${file}.v${version}.backup`;
  for (let copy = 2; existsSync(backup); copy++) backup = `${file}.v${version}.${copy}.backup`;
  renameSync(temporary, backup);
  sync(dirname(backup));
  return backup;
}

function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** @returns false when there was nothing left to do */
function apply(raw: Database.Database, file: string, migrations: readonly Migration[]): boolean {
  // With them on, a table that is rebuilt takes the rows that refer to it along. It is no use to
  // switch them off inside a transaction.
  raw.pragma('foreign_keys = OFF');
  raw.pragma('synchronous = FULL');
  return raw
    .transaction(() => {
      const from = versionOf(raw);
      if (from > migrations.length) throw newer(file, from, migrations.length);
      if (from === migrations.length) return false;
      for (const { file: sql } of migrations.slice(from)) raw.exec(readFileSync(sql, 'utf8'));
      const dangling = raw.pragma('foreign_key_check') as { table: string }[];
      if (dangling.length > 0) {
        const tables = [...new Set(dangling.map(({ table }) => table))].join(', ');
        throw new TillerError(
          'INTERNAL',
          `The migration left ${dangling.length} rows of ${tables} dangling`,
          {
            hint: 'Nothing was changed. Please report this.',
          },
        );
      }
      raw.pragma(`application_id = ${APPLICATION_ID}`);
      raw.pragma(`user_version = ${migrations.length}`);
      return true;
    })
    .immediate();
}
