import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { is } from 'drizzle-orm';
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import * as schema from '../../db/schema.ts';
import { newRecord } from './record.ts';

interface Column {
  name: string;
  type: string;
  notNull: boolean;
  default: string | null;
  key: number;
}

const tables = Object.values(schema)
  .filter((value) => is(value, SQLiteTable))
  .map((table) => getTableConfig(table));

const inDrizzle = ({ columns, primaryKeys }: (typeof tables)[number]): Column[] => {
  const key = primaryKeys[0]?.columns.map(({ name }) => name) ?? [];
  return columns.map((column) => ({
    name: column.name,
    type: column.getSQLType().toUpperCase(),
    notNull: column.notNull,
    default:
      column.default === undefined ? null : JSON.stringify(column.default).replace(/"/g, "'"),
    key: column.primary ? 1 : key.indexOf(column.name) + 1,
  }));
};

const byName = (columns: Column[]): Column[] => columns.sort((a, b) => (a.name < b.name ? -1 : 1));

describe('schema.ts and migrations/', () => {
  const db = newRecord();
  const { raw } = db;
  const names = raw
    .prepare<[], { name: string }>(
      `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'`,
    )
    .all()
    .map(({ name }) => name);
  const inSql = new Map(names.map((name) => [name, columnsInSql(name)]));
  const strict = raw
    .prepare<[], { name: string; strict: number }>('SELECT name, strict FROM pragma_table_list')
    .all();

  function columnsInSql(table: string): Column[] {
    const rows = raw.pragma(`table_info(${table})`) as {
      name: string;
      type: string;
      notnull: number;
      dflt_value: string | null;
      pk: number;
    }[];
    return rows.map(({ name, type, notnull, dflt_value, pk }) => ({
      name,
      type,
      // A rowid table's primary key is never null, whether it says so or not.
      notNull: notnull === 1 || pk > 0,
      default: dflt_value,
      key: pk,
    }));
  }

  test('have the same tables', () => {
    expect(tables.map(({ name }) => name).sort()).toEqual([...names].sort());
  });
  test.each(tables.map((table) => [table.name, table] as const))('agree on %s', (name, table) => {
    expect(byName(inDrizzle(table))).toEqual(byName(inSql.get(name) ?? []));
  });
  test('every table is strict', () => {
    const loose = strict.filter((table) => names.includes(table.name) && table.strict === 0);
    expect(loose).toEqual([]);
  });
  test('docs/reference/schema.md has a section for each table, and for no other', () => {
    const file = join(import.meta.dirname, '../../docs/reference/schema.md');
    const sections = readFileSync(file, 'utf8').matchAll(/^### `(\w+)`$/gm);
    expect(Array.from(sections, ([, name]) => name).sort()).toEqual([...names].sort());
  });
});
