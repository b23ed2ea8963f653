/**
 * Curves: new points go into hot rows; when there are enough of them they are sealed into chunks. A
 * curve reads the same wherever its points lie. Steps are recorded once: a step that is done again
 * is compared with what is here and never replaces it.
 */
import {
  appendChunks,
  CHUNK,
  joinColumns,
  noPoints,
  sliceColumns,
  takeChunksFrom,
  type Columns,
  type Series,
} from './chunks.ts';
import { prepared, type Db } from './connection.ts';
import { encodeFigure } from './figures.ts';
import { columnsOf, findSeries, hotPoints, mergeColumns } from './series.ts';

export { readSeries, type SeriesView } from './buckets.ts';
export type { Bucket } from './grid.ts';
export type { Columns } from './chunks.ts';

export interface Point {
  step: number;
  value: number;
}

export interface Appended {
  /** points that were new */
  added: number;
  /** points that were there */
  redone: number;
  /** the first of those that had another value; NaN is NaN, and -0 is not 0 */
  difference: { step: number; recorded: number; redone: number } | undefined;
}

/** Adds points in ascending order of their steps. Call it inside a transaction. */
export function appendColumns(db: Db, run: string, name: string, points: Columns): Appended {
  const series = seriesFor(db, run, name);
  const after = series.last_step ?? -Infinity;
  let old = points.steps.findIndex((step) => step > after);
  if (old < 0) old = points.steps.length;
  const result = compareWithRecord(db, series, sliceColumns(points, 0, old));
  const fresh = sliceColumns(points, old, points.steps.length);
  result.added += fresh.steps.length;
  if (series.hot + fresh.steps.length >= CHUNK) {
    sealWith(db, series, fresh);
  } else {
    insertHot(db, series, fresh);
  }
  series.last_step = fresh.steps.at(-1) ?? series.last_step;
  if (result.added > 0) saveSeries(db, series);
  return result;
}

/** Steps that are below the newest: mostly redone ones, else those that were left out before. */
function compareWithRecord(db: Db, series: Series, points: Columns): Appended {
  const result: Appended = { added: 0, redone: 0, difference: undefined };
  const { steps, values } = points;
  if (steps.length === 0) return result;
  const recorded = columnsOf(db, series, steps[0]!, steps.at(-1)!);
  let at = 0;
  for (const [index, step] of steps.entries()) {
    while (at < recorded.steps.length && recorded.steps[at]! < step) at += 1;
    if (recorded.steps[at] !== step) {
      insertHot(db, series, sliceColumns(points, index, index + 1));
      result.added += 1;
      continue;
    }
    result.redone += 1;
    const before = recorded.values[at]!;
    if (result.difference === undefined && !Object.is(before, values[index])) {
      result.difference = { step, recorded: before, redone: values[index]! };
    }
  }
  return result;
}

function insertHot(db: Db, series: Series, { steps, values }: Columns): void {
  const insert = prepared(db, 'INSERT INTO metric_point (series, step, value) VALUES (?, ?, ?)');
  for (let index = 0; index < steps.length; index++) {
    insert.run(series.id, steps[index]!, encodeFigure(values[index]!));
  }
  series.hot += steps.length;
}

/** Seals the hot points and those behind them. Changes `series`. */
function sealWith(db: Db, series: Series, behind: Columns): void {
  let hot = noPoints;
  if (series.hot > 0) {
    hot = hotPoints(db, series.id, 0, Number.MAX_SAFE_INTEGER);
    prepared(db, 'DELETE FROM metric_point WHERE series = ?').run(series.id);
    series.hot = 0;
  }
  const lowest = hot.steps[0];
  if (lowest !== undefined && lowest <= (series.sealed_step ?? -Infinity)) {
    // A step that came late belongs among the sealed ones: those are made anew from there on.
    hot = mergeColumns(takeChunksFrom(db, series, lowest), hot);
  }
  appendChunks(db, series, joinColumns([hot, behind]));
}

function seriesFor(db: Db, run: string, name: string): Series {
  const known = findSeries(db, run, name);
  if (known !== undefined) return known;
  const { lastInsertRowid } = prepared(db, 'INSERT INTO series (run, name) VALUES (?, ?)').run(
    run,
    name,
  );
  return { id: Number(lastInsertRowid), last_step: null, sealed_step: null, sealed: 0, hot: 0 };
}

function saveSeries(db: Db, { id, last_step, sealed_step, sealed, hot }: Series): void {
  prepared(
    db,
    'UPDATE series SET last_step = ?, sealed_step = ?, sealed = ?, hot = ? WHERE id = ?',
  ).run(last_step, sealed_step, sealed, hot, id);
}

/** Every point from step `from` to step `to`, both included, as two arrays. */
export function readColumns(
  db: Db,
  run: string,
  name: string,
  from = 0,
  to = Number.MAX_SAFE_INTEGER,
): Columns {
  // One moment for all it reads, also while another process seals.
  return db.raw.transaction(() => {
    const series = findSeries(db, run, name);
    return series === undefined ? noPoints : columnsOf(db, series, from, to);
  })();
}

/**
 * The points behind a step, and how many points the curve has in all: whoever holds another number of
 * those before has missed one that came late.
 */
export function readColumnsAfter(
  db: Db,
  run: string,
  name: string,
  step: number,
): Columns & { count: number } {
  return db.raw.transaction(() => {
    const series = findSeries(db, run, name);
    if (series === undefined) return { ...noPoints, count: 0 };
    const points = columnsOf(db, series, step + 1, Number.MAX_SAFE_INTEGER);
    return { ...points, count: series.sealed + series.hot };
  })();
}

/** The same as `readColumns`, a point an object. */
export function readPoints(db: Db, run: string, name: string, from?: number, to?: number): Point[] {
  const { steps, values } = readColumns(db, run, name, from, to);
  return Array.from(steps, (step, index) => ({ step, value: values[index]! }));
}
