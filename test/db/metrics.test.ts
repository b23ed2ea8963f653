import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { CHUNK } from '../../db/chunks.ts';
import { readColumns, readPoints, readSeries, type Bucket, type Point } from '../../db/metrics.ts';
import { findSeries } from '../../db/series.ts';
import { appendPoints, newRecord, newRun } from './record.ts';

const LOSS = 'loss';

function newCurve() {
  const db = newRecord();
  const { id: run } = newRun(db);
  const add = (points: readonly Point[]) => appendPoints(db, run, LOSS, points);
  return { db, run, add };
}

const columnsOf = (points: readonly Point[]) => ({
  steps: Float64Array.from(points, ({ step }) => step),
  values: Float64Array.from(points, ({ value }) => value),
});

/** What a reader of every single point would say. */
function bruteForce(points: readonly Point[], { from, to }: Bucket): Bucket {
  const values = points.filter(({ step }) => step >= from && step <= to).map(({ value }) => value);
  const finite = values.filter(Number.isFinite);
  const sum = finite.reduce((total, value) => total + value, 0);
  return {
    from,
    to,
    count: values.length,
    nan: values.length - finite.length,
    first: values[0]!,
    last: values.at(-1)!,
    min: finite.length === 0 ? null : Math.min(...finite) + 0,
    max: finite.length === 0 ? null : Math.max(...finite) + 0,
    mean: finite.length === 0 ? null : sum / finite.length,
  };
}

function expectTrue(buckets: readonly Bucket[], points: readonly Point[]): void {
  for (const bucket of buckets) {
    const { mean, ...rest } = bruteForce(points, bucket);
    expect(bucket).toEqual({ ...rest, mean: mean === null ? null : expect.any(Number) });
    if (mean !== null) expect(bucket.mean).toBeCloseTo(mean, 6);
  }
}

const figure = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: -1e3, max: 1e3, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, -0, 0, 5e-324) },
);

describe('a curve', () => {
  test('keeps NaN, infinities, -0 and every bit, hot and sealed', () => {
    const { db, run, add } = newCurve();
    const odd = [Number.NaN, Infinity, -Infinity, -0, 0, 5e-324, 0.1 + 0.2, Number.MAX_VALUE];
    const points = Array.from({ length: 3 * CHUNK }, (_, index) => ({
      step: index + 1,
      value: odd[index % odd.length]!,
    }));
    add(points.slice(0, 8));
    expect(readPoints(db, run, LOSS)).toEqual(points.slice(0, 8));
    add(points.slice(8));
    expect(findSeries(db, run, LOSS)).toMatchObject({ sealed: 3 * CHUNK, hot: 0 });
    expect(readPoints(db, run, LOSS)).toEqual(points);
    const whole = readSeries(db, run, LOSS, { buckets: 1 }).buckets[0];
    const broken = points.filter(({ value }) => !Number.isFinite(value)).length;
    expect(whole).toMatchObject({ nan: broken, min: 0, max: Number.MAX_VALUE, first: Number.NaN });
  });

  test('reads a range with both its ends', () => {
    const { db, run, add } = newCurve();
    add(Array.from({ length: 5 * CHUNK }, (_, index) => ({ step: index, value: index })));
    for (const [from, to] of [
      [0, 0],
      [CHUNK - 1, CHUNK],
      [1000, 3000],
      [5 * CHUNK - 1, 1e9],
    ] as const) {
      const steps = Array.from(readColumns(db, run, LOSS, from, to).steps);
      expect([steps[0], steps.at(-1)]).toEqual([from, Math.min(to, 5 * CHUNK - 1)]);
      expect(steps).toHaveLength(Math.min(to, 5 * CHUNK - 1) - from + 1);
    }
    expect(readPoints(db, run, LOSS, 1e7, 1e8)).toEqual([]);
    expect(readPoints(db, run, 'none')).toEqual([]);
    expect(readSeries(db, run, 'none')).toEqual({ buckets: [], firstStep: null, lastStep: null });
  });

  test('is the same however its points came', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.record({ step: fc.integer({ min: 0, max: 20_000 }), value: figure }), {
          selector: ({ step }) => step,
          minLength: 1,
          maxLength: 300,
        }),
        fc.integer({ min: 0, max: 6 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 }),
        (late, chunks, sizes) => {
          const { db, run, add } = newCurve();
          // Enough even steps for some chunks, then odd ones among them and behind them.
          const early = Array.from({ length: chunks * CHUNK + 50 }, (_, i) => ({
            step: 2 * i,
            value: i,
          }));
          add(early);
          for (let at = 0, turn = 0; at < late.length; turn++) {
            const size = sizes[turn % sizes.length]!;
            add(late.slice(at, at + size));
            at += size;
          }
          const known = new Set(early.map(({ step }) => step));
          const all = [...early, ...late.filter(({ step }) => !known.has(step))];
          all.sort((a, b) => a.step - b.step);
          expect(readColumns(db, run, LOSS)).toEqual(columnsOf(all));
          expectTrue(readSeries(db, run, LOSS, { buckets: 37 }).buckets, all);
          // More than two chunks of hot points, so that all of it is sealed with the late ones.
          const rest = Array.from({ length: 3 * CHUNK }, (_, i) => ({
            step: 30_000 + i,
            value: -i,
          }));
          add(rest);
          expect(readColumns(db, run, LOSS)).toEqual(columnsOf([...all, ...rest]));
          expectTrue(readSeries(db, run, LOSS, { buckets: 41 }).buckets, [...all, ...rest]);
        },
      ),
      { numRuns: 12 },
    );
  });

  test('zoomed to any range and width has the true extremes, each point in one bucket', () => {
    fc.assert(
      fc.property(
        fc.array(figure, { minLength: 1, maxLength: 400 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 3 }),
        fc.tuple(fc.nat(60_000), fc.nat(60_000)),
        fc.integer({ min: 1, max: 200 }),
        (values, times, stride, range, buckets) => {
          const { db, run, add } = newCurve();
          const points = Array.from({ length: values.length * times }, (_, index) => ({
            step: 1 + index * stride,
            value: values[index % values.length]!,
          }));
          add(points);
          const [from, to] = range.sort((a, b) => a - b) as [number, number];
          const view = readSeries(db, run, LOSS, { from, to, buckets });
          expectTrue(view.buckets, points);
          const inside = points.filter(({ step }) => step >= from && step <= to);
          expect(view.buckets.reduce((sum, { count }) => sum + count, 0)).toBe(inside.length);
          expect(view.buckets.length).toBeLessThanOrEqual(buckets);
          for (const [index, bucket] of view.buckets.entries()) {
            expect(bucket.from).toBeGreaterThan(view.buckets[index - 1]?.to ?? -1);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test('has a level for every power of two of its chunks', () => {
    const { db, run, add } = newCurve();
    add(Array.from({ length: 8 * CHUNK }, (_, index) => ({ step: index, value: index % 100 })));
    const levels = db.raw
      .prepare(
        'SELECT level, count(*) AS chunks, sum(n) AS points FROM metric_chunk GROUP BY level',
      )
      .all();
    expect(levels).toEqual(
      [8, 4, 2, 1].map((chunks, level) => ({ level, chunks, points: 8 * CHUNK })),
    );
    const [one] = readSeries(db, run, LOSS, { buckets: 1 }).buckets;
    expect(one).toMatchObject({ count: 8 * CHUNK, min: 0, max: 99, first: 0, last: 91 });
  });

  test('a bucket that chunks of a high level fill is not read from points', () => {
    const { db, run, add } = newCurve();
    add(Array.from({ length: 16 * CHUNK }, (_, index) => ({ step: index, value: index % 7 })));
    const before = readSeries(db, run, LOSS, { buckets: 2 });
    // Without its points the view is still the same: its two halves are chunks of level 3.
    db.raw.exec('UPDATE metric_chunk SET data = NULL');
    expect(readSeries(db, run, LOSS, { buckets: 2 })).toEqual(before);
  });

  test('a short chunk is filled later', () => {
    const { db, run, add } = newCurve();
    const points = Array.from({ length: 8 * CHUNK }, (_, index) => ({ step: index, value: index }));
    const cuts = [
      0,
      CHUNK + 5,
      2 * CHUNK + 700,
      4 * CHUNK,
      6 * CHUNK - 1,
      7 * CHUNK - 1,
      8 * CHUNK,
    ];
    for (const [index, end] of cuts.slice(1).entries()) {
      add(points.slice(cuts[index], end));
      expect(findSeries(db, run, LOSS)).toMatchObject({
        sealed: end,
        hot: 0,
        sealed_step: end - 1,
      });
      expect(readColumns(db, run, LOSS)).toEqual(columnsOf(points.slice(0, end)));
    }
    const sizes = db.raw
      .prepare('SELECT level, n FROM metric_chunk ORDER BY level, first_step')
      .all();
    const full = (level: number, count: number) =>
      Array.from({ length: count }, () => ({ level, n: CHUNK * 2 ** level }));
    expect(sizes).toEqual([...full(0, 8), ...full(1, 4), ...full(2, 2), ...full(3, 1)]);
  });
});
