import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import Database from 'better-sqlite3';
import { openRecord } from '../../db/connection.ts';
import { listMigrations, migrate } from '../../db/migrate.ts';
import { newRecord, newRun, temporaryFolder } from './record.ts';

const newest = listMigrations().length;

/** Migrations of a test: the first make a table and its child, with a row in each. */
function folderOf(...migrations: string[]): string {
  const folder = temporaryFolder();
  for (const [index, sql] of migrations.entries()) {
    writeFileSync(join(folder, `${String(index + 1).padStart(4, '0')}_step.sql`), sql);
  }
  return folder;
}
const FIRST = `CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE child (parent INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE) STRICT;
  INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);`;
const REBUILD = `CREATE TABLE parent_new (id INTEGER PRIMARY KEY, name TEXT) STRICT;
  INSERT INTO parent_new SELECT id, 'x' FROM parent; DROP TABLE parent;
  ALTER TABLE parent_new RENAME TO parent;`;

const fileIn = (folder: string) => join(folder, 'tiller.db');
const count = (file: string, table: string) => {
  const db = new Database(file, { readonly: true });
  const { n } = db.prepare<[], { n: number }>(`SELECT count(*) AS n FROM ${table}`).get()!;
  db.close();
  return n;
};
const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe('migrating', () => {
  test('makes a record, also in a folder that is not there, and needs no backup for that', () => {
    const file = join(temporaryFolder(), 'a', 'b', 'tiller.db');
    expect(migrate(file)).toEqual({ from: 0, to: newest });
    expect(migrate(file)).toEqual({ from: newest, to: newest });
    expect(readdirSync(dirname(file)).filter((name) => name.includes('backup'))).toEqual([]);
  });

  test('backs up what was there first', () => {
    const file = fileIn(temporaryFolder());
    migrate(file, { folder: folderOf(FIRST) });
    const { from, to, backup } = migrate(file, { folder: folderOf(FIRST, 'DELETE FROM child;') });
    expect({ from, to }).toEqual({ from: 1, to: 2 });
    expect([count(file, 'child'), count(backup!, 'child')]).toEqual([0, 1]);
    expect(basename(backup!)).toBe('tiller.db.v1.backup');
  });

  test('leaves all as it was when a migration fails', () => {
    const file = fileIn(temporaryFolder());
    migrate(file, { folder: folderOf(FIRST) });
    const broken = folderOf(FIRST, 'DELETE FROM child;', 'CREATE TABLE parent (id) STRICT;');
    expect(() => migrate(file, { folder: broken })).toThrow();
    expect(count(file, 'child')).toBe(1);
    expect(migrate(file, { folder: folderOf(FIRST) })).toEqual({ from: 1, to: 1 });
  });

  test('a table that is rebuilt does not take the rows that refer to it along', () => {
    const file = fileIn(temporaryFolder());
    migrate(file, { folder: folderOf(FIRST) });
    migrate(file, { folder: folderOf(FIRST, REBUILD) });
    expect(count(file, 'child')).toBe(1);
  });

  test('one that leaves a row without what it refers to is refused', () => {
    const file = fileIn(temporaryFolder());
    migrate(file, { folder: folderOf(FIRST) });
    const losing = folderOf(FIRST, 'DELETE FROM parent;');
    expect(() => migrate(file, { folder: losing })).toThrow(/dangling/);
    expect([count(file, 'parent'), count(file, 'child')]).toEqual([1, 1]);
  });

  test('a record of a newer Tiller is refused by its number and left alone', () => {
    const db = newRecord();
    db.raw.pragma(`user_version = ${newest + 3}`);
    db.close();
    const before = readFileSync(db.file);
    expect(() => migrate(db.file)).toThrow(code('RECORD_NEWER'));
    expect(() => migrate(db.file)).toThrow(new RegExp(`version ${newest + 3}.*up to ${newest}`));
    expect(readFileSync(db.file)).toEqual(before);
    expect(readdirSync(dirname(db.file))).toEqual(['tiller.db']);
  });

  test.each([
    [
      'text',
      (file: string) =>
        writeFileSync(file, 'a text that is no database, and long enough'.repeat(99)),
    ],
    ['zeros', (file: string) => writeFileSync(file, Buffer.alloc(8192, 1))],
    ['a folder', (file: string) => mkdirSync(file)],
    ['cut short', (file: string) => (migrate(file), truncateSync(file, 6000))],
    [
      'the SQLite file of another program',
      (file: string) => new Database(file).exec('CREATE TABLE notes (x)').close(),
    ],
  ])('%s is refused as corrupt and left alone', (_, write) => {
    const file = fileIn(temporaryFolder());
    write(file);
    expect(() => migrate(file)).toThrow(code('RECORD_CORRUPT'));
    expect(existsSync(file)).toBe(true);
  });

  test('a damaged record is not migrated over', () => {
    const file = fileIn(temporaryFolder());
    const filler = Array.from({ length: 4000 }, (_, index) => `(${index + 2})`).join();
    migrate(file, { folder: folderOf(`${FIRST} INSERT INTO parent VALUES ${filler};`) });
    const bytes = readFileSync(file);
    bytes.fill(0xff, 5 * 4096, 7 * 4096);
    writeFileSync(file, bytes);
    expect(() => migrate(file, { folder: folderOf(FIRST, REBUILD) })).toThrow(
      code('RECORD_CORRUPT'),
    );
  });

  test('the list has no gap, no number twice, and is in order', () => {
    expect(listMigrations().map(({ number }) => number)).toEqual(
      Array.from({ length: newest }, (_, index) => index + 1),
    );
    for (const names of [
      ['0002_a.sql'],
      ['0001_a.sql', '0003_b.sql'],
      ['0001_a.sql', '0001_b.sql'],
      ['1_a.sql'],
    ]) {
      const folder = temporaryFolder();
      for (const name of names) writeFileSync(join(folder, name), '');
      expect(() => listMigrations(folder)).toThrow(/should have number/);
    }
  });

  test('several processes may do it at once', async () => {
    const file = fileIn(temporaryFolder());
    const program = `import { migrate } from ${JSON.stringify(join(import.meta.dirname, '../../db/migrate.ts'))};
      migrate(${JSON.stringify(file)});`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'inherit', 'inherit'],
      }),
    );
    const codes = await Promise.all(
      children.map(async (child) => (await once(child, 'exit'))[0] as number),
    );
    expect(codes).toEqual([0, 0, 0, 0]);
    expect(migrate(file)).toEqual({ from: newest, to: newest });
  });
});

describe('opening', () => {
  test('a file that is not there is refused, and not made', () => {
    const file = fileIn(temporaryFolder());
    expect(() => openRecord(file)).toThrow(code('RECORD_CORRUPT'));
    expect(existsSync(file)).toBe(false);
  });

  test('is in WAL mode, with foreign keys, and synced as asked', () => {
    const { file } = newRecord();
    for (const [durable, level] of [
      [false, 1],
      [true, 2],
    ] as const) {
      const db = openRecord(file, { durable });
      const is = (name: string) => db.raw.pragma(name, { simple: true });
      expect([is('journal_mode'), is('foreign_keys'), is('synchronous'), is('mmap_size')]).toEqual([
        'wal',
        1,
        level,
        0,
      ]);
      db.close();
    }
  });

  test('for reading only, writes nothing', () => {
    const writable = newRecord();
    const { id } = newRun(writable);
    const db = openRecord(writable.file, { readonly: true });
    expect(db.raw.prepare('SELECT id FROM run').all()).toEqual([{ id }]);
    expect(() => newRun(db)).toThrow(code('HOME_UNWRITABLE'));
    db.close();
  });
});
