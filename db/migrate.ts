/** Brings the record to the newest migration: a backup first, then one transaction a migration. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { TillerError } from '../recipes/errors.ts';
import { asRecordError } from './connection.ts';

const folder = join(import.meta.dirname, '..', 'migrations');

export interface Migration {
  number: number;
  name: string;
  sql: string;
}

/** The numbered files of migrations/, which ascend without a gap. */
export function listMigrations(from = folder): Migration[] {
  const files = readdirSync(from)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  return files.map((name, index) => {
    const number = Number(/^(\d{4})_/.exec(name)?.[1]);
    if (number !== index + 1) {
      throw new TillerError('INTERNAL', `Migration ${name} is not number ${index + 1}`);
    }
    return { number, name, sql: readFileSync(join(from, name), 'utf8') };
  });
}

export interface Migrated {
  from: number;
  to: number;
  /** the copy from before, where there was something to copy */
  backup?: string;
}

/** Errors: RECORD_NEWER, RECORD_CORRUPT. Safe when two processes do it at once. */
export function migrate(
  file: string,
  migrations: readonly Migration[] = listMigrations(),
): Migrated {
  mkdirSync(dirname(file), { recursive: true });
  const existed = existsSync(file);
  let db: Database.Database | undefined;
  try {
    db = new Database(file, { timeout: 10_000 });
    db.pragma('journal_mode = WAL');
    return bring(db, file, existed, migrations);
  } catch (error) {
    throw asRecordError(error, file);
  } finally {
    db?.close();
  }
}

function bring(
  db: Database.Database,
  file: string,
  existed: boolean,
  migrations: readonly Migration[],
): Migrated {
  const from = version(db);
  const to = migrations.length;
  if (from > to) {
    throw new TillerError(
      'RECORD_NEWER',
      `The record ${file} is of version ${from}, and this Tiller knows versions up to ${to}`,
      {
        hint: 'Use the Tiller that wrote it, or a newer one.',
      },
    );
  }
  if (from === to) return { from, to };
  const backup = existed && from > 0 ? backUp(db, file, from) : undefined;
  // Rebuilding a table would delete the rows that refer to it; the check below replaces the pragma.
  db.pragma('foreign_keys = OFF');
  for (const { number, sql, name } of migrations) {
    db.transaction(() => {
      // Another process may have been faster.
      if (version(db) >= number) return;
      db.exec(sql);
      const broken = db.pragma('foreign_key_check') as unknown[];
      if (broken.length > 0)
        throw new TillerError('INTERNAL', `Migration ${name} breaks ${broken.length} references`);
      db.pragma(`user_version = ${number}`);
    }).immediate();
  }
  return backup === undefined ? { from, to } : { from, to, backup };
}

const version = (db: Database.Database): number =>
  db.pragma('user_version', { simple: true }) as number;

function backUp(db: Database.Database, file: string, from: number): string {
  const backup = `${file}.before-${from + 1}.${Date.now()}`;
  db.prepare('VACUUM INTO ?').run(`${backup}.tmp`);
  renameSync(`${backup}.tmp`, backup);
  return backup;
}
