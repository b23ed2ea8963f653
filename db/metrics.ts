/** Curves: points as they come, exactly once a step; NaN and infinities are kept as they are. */
import type { Statement } from 'better-sqlite3';
import type { Db } from './connection.ts';

export interface Point {
  step: number;
  value: number;
}

/** What STRICT SQLite can hold: a REAL, or the 8 bytes of what is no REAL there. */
export const encodeValue = (value: number): number | Buffer => {
  if (Number.isFinite(value)) return value;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};

export const decodeValue = (stored: number | Buffer): number =>
  typeof stored === 'number' ? stored : stored.readDoubleLE(0);

interface Statements {
  findSeries: Statement<[string, string], { id: number }>;
  addSeries: Statement<[string, string], { id: number }>;
  add: Statement<[number, number, number | Buffer]>;
  at: Statement<[number, number], { value: number | Buffer }>;
  between: Statement<[number, number, number], { step: number; value: number | Buffer }>;
}

const prepared = new WeakMap<Db, Statements>();

function statements(db: Db): Statements {
  const known = prepared.get(db);
  if (known !== undefined) return known;
  const made: Statements = {
    findSeries: db.raw.prepare('SELECT id FROM series WHERE run = ? AND name = ?'),
    addSeries: db.raw.prepare('INSERT INTO series (run, name) VALUES (?, ?) RETURNING id'),
    add: db.raw.prepare(
      'INSERT OR IGNORE INTO metric_point (series, step, value) VALUES (?, ?, ?)',
    ),
    at: db.raw.prepare('SELECT value FROM metric_point WHERE series = ? AND step = ?'),
    between: db.raw.prepare(
      'SELECT step, value FROM metric_point WHERE series = ? AND step BETWEEN ? AND ? ORDER BY step',
    ),
  };
  prepared.set(db, made);
  return made;
}

export function seriesId(db: Db, run: string, name: string): number {
  const { findSeries, addSeries } = statements(db);
  const found = findSeries.get(run, name) ?? addSeries.get(run, name);
  if (found === undefined)
    throw new Error(`series ${name} of run ${run} was neither found nor made`);
  return found.id;
}

/** @returns the value in the record, where it is another one than that of the point; the record keeps its own */
export function appendPoint(db: Db, series: number, { step, value }: Point): number | undefined {
  const { add, at } = statements(db);
  if (add.run(series, step, encodeValue(value)).changes === 1) return undefined;
  const stored = at.get(series, step);
  const before = stored === undefined ? value : decodeValue(stored.value);
  return Object.is(before, value) ? undefined : before;
}

/** All points of a curve, both ends included. */
export function readPoints(
  db: Db,
  run: string,
  name: string,
  from = 0,
  to = Number.MAX_SAFE_INTEGER,
): Point[] {
  const rows = statements(db).between.all(seriesId(db, run, name), from, to);
  return rows.map(({ step, value }) => ({ step, value: decodeValue(value) }));
}

/** Mean and deviation of the finite values of the steps behind `after` up to `last`. */
export function summarise(
  db: Db,
  run: string,
  name: string,
  after: number,
  last: number,
): { mean: number | null; deviation: number | null; count: number } {
  const values = readPoints(db, run, name, after + 1, last)
    .map(({ value }) => value)
    .filter(Number.isFinite);
  const count = values.length;
  if (count === 0) return { mean: null, deviation: null, count };
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: count > 1 ? Math.sqrt(square / (count - 1)) : 0, count };
}
