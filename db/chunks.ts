/**
 * The sealed part of a curve. A chunk of level 0 holds `CHUNK` points; whenever two chunks of a level
 * are complete, one of the next level sums them up, so that a zoomed-out view reads a few rows of a
 * high level and points only where a bucket ends within a chunk.
 */
import { endianness } from 'node:os';
import { prepared, type Db } from './connection.ts';
import { decodeFigure, encodeFigure } from './figures.ts';

export const CHUNK = 1024;

/** Points in ascending order of their steps. */
export interface Columns {
  steps: Float64Array;
  values: Float64Array;
}

/** What many points come to. Least, greatest and sum are of the finite ones; null if there are none. */
export interface Summary {
  n: number;
  /** how many are NaN or infinite */
  nan: number;
  min: number | null;
  max: number | null;
  sum: number | null;
  first: number;
  last: number;
}

export interface Chunk extends Summary {
  level: number;
  first_step: number;
  last_step: number;
}

export interface Series {
  id: number;
  last_step: number | null;
  sealed_step: number | null;
  sealed: number;
  hot: number;
}

export const noPoints: Columns = { steps: new Float64Array(0), values: new Float64Array(0) };

export function joinColumns(parts: readonly Columns[]): Columns {
  if (parts.length === 1) return parts[0]!;
  const n = parts.reduce((sum, { steps }) => sum + steps.length, 0);
  const all = { steps: new Float64Array(n), values: new Float64Array(n) };
  let at = 0;
  for (const { steps, values } of parts) {
    all.steps.set(steps, at);
    all.values.set(values, at);
    at += steps.length;
  }
  return all;
}

export const sliceColumns = ({ steps, values }: Columns, from: number, to: number): Columns => ({
  steps: steps.subarray(from, to),
  values: values.subarray(from, to),
});

export function summarize(values: Float64Array): Summary {
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  let nan = 0;
  const n = values.length;
  // By index: a hot loop, and iterators are several times slower.
  for (let index = 0; index < n; index++) {
    const value = values[index]!;
    // NaN and both infinities have no difference to themselves that is 0.
    if (value - value !== 0) {
      nan += 1;
      continue;
    }
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  const none = n === nan;
  return {
    n,
    nan,
    min: none ? null : min,
    max: none ? null : max,
    sum: none ? null : sum,
    first: values[0] ?? Number.NaN,
    last: values[n - 1] ?? Number.NaN,
  };
}

/** `b` follows `a`. */
export const addSummaries = (a: Summary, b: Summary): Summary => ({
  n: a.n + b.n,
  nan: a.nan + b.nan,
  min: a.min === null || b.min === null ? (a.min ?? b.min) : Math.min(a.min, b.min),
  max: a.max === null || b.max === null ? (a.max ?? b.max) : Math.max(a.max, b.max),
  sum: a.sum === null || b.sum === null ? (a.sum ?? b.sum) : a.sum + b.sum,
  first: a.first,
  last: b.last,
});

/** Values, then the steps unless they simply count up. */
export function encodeColumns({ steps, values }: Columns): Buffer {
  const n = steps.length;
  const first = steps[0] ?? 0;
  const counting = steps[n - 1] === first + n - 1;
  const numbers = new Float64Array(counting ? n : 2 * n);
  numbers.set(values);
  if (!counting) numbers.set(steps, n);
  return littleEndian(Buffer.from(numbers.buffer));
}

export function decodeColumns(data: Uint8Array, n: number, firstStep: number): Columns {
  const numbers = doublesOf(data);
  if (numbers.length === 2 * n) {
    return { values: numbers.subarray(0, n), steps: numbers.subarray(n) };
  }
  const steps = new Float64Array(n);
  for (let index = 0; index < n; index++) steps[index] = firstStep + index;
  return { values: numbers, steps };
}

/** Copied where the bytes don't lie where doubles may. */
function doublesOf(data: Uint8Array): Float64Array {
  if (data.byteOffset % 8 === 0 && endianness() === 'LE') {
    return new Float64Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / 8);
  }
  const bytes = Buffer.from(new ArrayBuffer(data.byteLength));
  bytes.set(data);
  return new Float64Array(littleEndian(bytes).buffer);
}

const littleEndian = (bytes: Buffer): Buffer => (endianness() === 'LE' ? bytes : bytes.swap64());

/**
 * Appends points behind those that are sealed, and the levels above them. The last chunk may be short:
 * then it is filled before another is begun. Changes `series`.
 */
export function appendChunks(db: Db, series: Series, points: Columns): void {
  const short = series.sealed % CHUNK !== 0 && series.sealed_step !== null;
  const all = short
    ? joinColumns([takeChunksFrom(db, series, series.sealed_step!), points])
    : points;
  for (let at = 0; at < all.steps.length; at += CHUNK) {
    const part = sliceColumns(all, at, at + CHUNK);
    const n = part.steps.length;
    const first_step = part.steps[0]!;
    const last_step = part.steps[n - 1]!;
    let chunk: Chunk = { level: 0, first_step, last_step, ...summarize(part.values) };
    insertChunk(db, series.id, chunk, encodeColumns(part));
    series.sealed += n;
    series.sealed_step = last_step;
    if (n < CHUNK) return;
    for (let count = series.sealed / CHUNK; count % 2 === 0; count /= 2) {
      chunk = parentOf(db, series.id, chunk);
      insertChunk(db, series.id, chunk, null);
    }
  }
}

/** Of a chunk that completes a pair: the one before it is its sister. */
function parentOf(db: Db, series: number, second: Chunk): Chunk {
  const sister = prepared<[number, number, number], StoredChunk>(
    db,
    `SELECT ${columns} FROM metric_chunk WHERE series = ? AND level = ? AND first_step < ?
     ORDER BY first_step DESC LIMIT 1`,
  ).get(series, second.level, second.first_step);
  if (sister === undefined) throw new Error(`series ${series}: level ${second.level} has a gap`);
  const first = fromStored(sister);
  return {
    level: second.level + 1,
    first_step: first.first_step,
    last_step: second.last_step,
    ...addSummaries(first, second),
  };
}

const columns = 'level, first_step, last_step, n, nan, min, max, sum, first, last';

type StoredChunk = Omit<Chunk, 'first' | 'last'> & { first: unknown; last: unknown };

const fromStored = ({ first, last, ...chunk }: StoredChunk): Chunk => ({
  ...chunk,
  first: decodeFigure(first),
  last: decodeFigure(last),
});

function insertChunk(db: Db, series: number, chunk: Chunk, data: Buffer | null): void {
  prepared(
    db,
    `INSERT INTO metric_chunk (series, ${columns}, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    series,
    chunk.level,
    chunk.first_step,
    chunk.last_step,
    chunk.n,
    chunk.nan,
    chunk.min,
    chunk.max,
    chunk.sum,
    encodeFigure(chunk.first),
    encodeFigure(chunk.last),
    data,
  );
}

/** The chunks of a level that hold any step from `from` to `to`. */
export const chunksBetween = (
  db: Db,
  series: number,
  level: number,
  from: number,
  to: number,
): Chunk[] =>
  prepared<[number, number, number, number, number, number], StoredChunk>(
    db,
    `SELECT ${columns} FROM metric_chunk
     WHERE series = ? AND level = ? AND first_step <= ? AND first_step >= coalesce(
       (SELECT max(first_step) FROM metric_chunk WHERE series = ? AND level = ? AND first_step <= ?), 0)
     ORDER BY first_step`,
  )
    .all(series, level, to, series, level, from)
    .map(fromStored)
    .filter((chunk) => chunk.last_step >= from);

/** The points of one chunk of level 0. */
export function chunkPoints(db: Db, series: number, firstStep: number): Columns {
  const row = prepared<[number, number], { n: number; data: Uint8Array }>(
    db,
    'SELECT n, data FROM metric_chunk WHERE series = ? AND level = 0 AND first_step = ?',
  ).get(series, firstStep);
  return row === undefined ? noPoints : decodeColumns(row.data, row.n, firstStep);
}

/** Takes the chunks out from the one that holds `step` on. Changes `series`. @returns their points */
export function takeChunksFrom(db: Db, series: Series, step: number): Columns {
  const taken = chunksBetween(db, series.id, 0, step, Number.MAX_SAFE_INTEGER);
  const points = joinColumns(taken.map((chunk) => chunkPoints(db, series.id, chunk.first_step)));
  const remove = prepared(
    db,
    'DELETE FROM metric_chunk WHERE series = ? AND level = ? AND first_step = ?',
  );
  const from = taken[0]?.first_step ?? Number.MAX_SAFE_INTEGER;
  const levels = Math.floor(Math.log2(Math.max(1, series.sealed / CHUNK)));
  for (let level = 0; level <= levels; level++) {
    for (const chunk of chunksBetween(db, series.id, level, from, Number.MAX_SAFE_INTEGER)) {
      remove.run(series.id, level, chunk.first_step);
    }
  }
  series.sealed -= points.steps.length;
  series.sealed_step =
    prepared<[number], { last_step: number }>(
      db,
      `SELECT last_step FROM metric_chunk WHERE series = ? AND level = 0
       ORDER BY first_step DESC LIMIT 1`,
    ).get(series.id)?.last_step ?? null;
  return points;
}
