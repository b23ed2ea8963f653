/** A curve at the width of a screen: what the points of each pixel come to, with their true extremes. */
import {
  CHUNK,
  chunkPoints,
  chunksBetween,
  sliceColumns,
  summarize,
  type Chunk,
  type Series,
} from './chunks.ts';
import type { Db } from './connection.ts';
import { Grid, type Bucket } from './grid.ts';
import { columnsOf, findSeries, firstStepOf, hotPoints, lowerBound, within } from './series.ts';

export interface SeriesView {
  /** in order; those without a point are left out */
  buckets: Bucket[];
  /** of the whole curve */
  firstStep: number | null;
  lastStep: number | null;
}

export interface Range {
  from?: number;
  to?: number;
  /** how many pixels: at most so many buckets come back */
  buckets?: number;
}

const DEFAULT_BUCKETS = 1_200;

/** The steps from `from` to `to` are divided evenly; every point counts in exactly one bucket. */
export const readSeries = (db: Db, run: string, name: string, range: Range = {}): SeriesView =>
  // One moment for all it reads, also while another process seals.
  db.raw.transaction(() => {
    const series = findSeries(db, run, name);
    const firstStep = series === undefined ? null : firstStepOf(db, series);
    const lastStep = series?.last_step ?? null;
    if (series === undefined || firstStep === null || lastStep === null) {
      return { buckets: [], firstStep, lastStep };
    }
    const from = Math.max(range.from ?? firstStep, firstStep);
    const to = Math.min(range.to ?? lastStep, lastStep);
    if (from > to) return { buckets: [], firstStep, lastStep };
    const grid = new Grid(from, to, range.buckets ?? DEFAULT_BUCKETS);
    fill(db, series, grid, firstStep);
    return { buckets: grid.buckets(), firstStep, lastStep };
  })();

function fill(db: Db, series: Series, grid: Grid, firstStep: number): void {
  const { from, to } = grid;
  const sealedTo = series.sealed_step ?? firstStep - 1;
  const pointsAStep = series.sealed / Math.max(1, sealedTo - firstStep + 1);
  const chunksABucket = (grid.width * pointsAStep) / CHUNK;
  const level = Math.max(0, Math.floor(Math.log2(chunksABucket)) - 1);
  addLevel(db, series.id, grid, level, from, Math.min(to, sealedTo));
  const hot = hotPoints(db, series.id, from, to);
  const late = lowerBound(hot.steps, sealedTo + 1);
  grid.addPoints(sliceColumns(hot, late, hot.steps.length));
  // Points that came late lie among the sealed ones. They are few: their buckets are read in full.
  const mended = new Set(Array.from(hot.steps.subarray(0, late), (step) => grid.indexOf(step)));
  for (const index of mended) {
    grid.set(index, summarize(columnsOf(db, series, ...grid.stepsOf(index)).values));
  }
}

/** Adds the sealed points between two steps, from chunks of `level` where those fit into a bucket. */
function addLevel(
  db: Db,
  series: number,
  grid: Grid,
  level: number,
  from: number,
  to: number,
): void {
  if (from > to) return;
  const chunks = chunksBetween(db, series, level, from, to);
  for (const chunk of chunks) addChunk(db, series, grid, chunk);
  // Behind the last complete chunk of this level there are smaller ones.
  if (level > 0)
    addLevel(db, series, grid, level - 1, (chunks.at(-1)?.last_step ?? from - 1) + 1, to);
}

function addChunk(db: Db, series: number, grid: Grid, chunk: Chunk): void {
  const { first_step: first, last_step: last, level } = chunk;
  const inside = first >= grid.from && last <= grid.to;
  if (inside && grid.indexOf(first) === grid.indexOf(last)) {
    grid.add(grid.indexOf(first), chunk);
  } else if (level === 0) {
    grid.addPoints(within(chunkPoints(db, series, first), grid.from, grid.to));
  } else {
    const from = Math.max(first, grid.from);
    const to = Math.min(last, grid.to);
    for (const half of chunksBetween(db, series, level - 1, from, to)) {
      addChunk(db, series, grid, half);
    }
  }
}
