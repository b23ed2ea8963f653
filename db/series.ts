/** A curve's row, and its points wherever they lie. */
import {
  chunkPoints,
  chunksBetween,
  joinColumns,
  sliceColumns,
  type Columns,
  type Series,
} from './chunks.ts';
import { prepared, type Db } from './connection.ts';
import { decodeFigure } from './figures.ts';

const columns = 'id, last_step, sealed_step, sealed, hot';

/** Undefined if the run has no such curve. */
export const findSeries = (db: Db, run: string, name: string): Series | undefined =>
  prepared<[string, string], Series>(
    db,
    `SELECT ${columns} FROM series WHERE run = ? AND name = ?`,
  ).get(run, name);

export function hotPoints(db: Db, series: number, from: number, to: number): Columns {
  const rows = prepared<[number, number, number], { step: number; value: unknown }>(
    db,
    'SELECT step, value FROM metric_point WHERE series = ? AND step BETWEEN ? AND ? ORDER BY step',
  ).all(series, from, to);
  const points = { steps: new Float64Array(rows.length), values: new Float64Array(rows.length) };
  for (const [index, { step, value }] of rows.entries()) {
    points.steps[index] = step;
    points.values[index] = decodeFigure(value);
  }
  return points;
}

/** The points from step `from` to step `to`, both included. */
export function columnsOf(db: Db, series: Series, from: number, to: number): Columns {
  const sealed = chunksBetween(db, series.id, 0, from, to).map(({ first_step: first }) =>
    within(chunkPoints(db, series.id, first), from, to),
  );
  const hot = hotPoints(db, series.id, from, to);
  const late = (hot.steps[0] ?? Infinity) <= (series.sealed_step ?? -Infinity);
  if (late && sealed.length > 0) return mergeColumns(joinColumns(sealed), hot);
  return joinColumns([...sealed, hot]);
}

/** Those of the points that lie from step `from` to step `to`. */
export function within(points: Columns, from: number, to: number): Columns {
  const { steps } = points;
  if (steps.length === 0 || (steps[0]! >= from && steps.at(-1)! <= to)) return points;
  return sliceColumns(points, lowerBound(steps, from), lowerBound(steps, to + 1));
}

/** Index of the first step that is at least `step`. */
export function lowerBound(steps: Float64Array, step: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (steps[middle]! < step) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function mergeColumns(a: Columns, b: Columns): Columns {
  const all = joinColumns([a, b]);
  const order = Uint32Array.from(all.steps.keys()).sort((i, j) => all.steps[i]! - all.steps[j]!);
  return {
    steps: Float64Array.from(order, (index) => all.steps[index]!),
    values: Float64Array.from(order, (index) => all.values[index]!),
  };
}

/** Null if it has no points. */
export function firstStepOf(db: Db, { id }: Series): number | null {
  const lowest = (table: string) =>
    prepared<[number], { step: number | null }>(db, table).get(id)?.step ?? null;
  const hot = lowest('SELECT min(step) AS step FROM metric_point WHERE series = ?');
  const sealed = lowest(
    'SELECT min(first_step) AS step FROM metric_chunk WHERE series = ? AND level = 0',
  );
  return hot === null || sealed === null ? (hot ?? sealed) : Math.min(hot, sealed);
}
