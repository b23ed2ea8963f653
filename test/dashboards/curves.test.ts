import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { CHUNK } from '../../db/chunks.ts';
import { takeLease } from '../../db/leases.ts';
import type { Point } from '../../db/metrics.ts';
import { runForPage } from '../../db/pages.ts';
import { getRun, recipeOf, updateRun } from '../../db/runs.ts';
import { axisOf } from '../../dashboards/axis.ts';
import { createCurves, type Curves } from '../../dashboards/curves.ts';
import type { Reduction } from '../../dashboards/reduce.ts';
import { appendPoints, newLaunch, newRecord, newRun } from '../db/record.ts';

const WHOLE: Reduction = {
  from: undefined,
  to: undefined,
  buckets: 50,
  smooth: 0.9,
  clip: false,
  log: false,
};

const newCurve = () => {
  const db = newRecord();
  const { id: run } = newRun(db);
  return { db, run, add: (points: readonly Point[]) => appendPoints(db, run, 'loss', points) };
};
const line = (from: number, to: number, valueAt = (step: number) => step): Point[] =>
  Array.from({ length: to - from + 1 }, (_, index) => ({
    step: from + index,
    value: valueAt(from + index),
  }));
const seen = (curves: Curves, run: string, asked = WHOLE) => ({
  reduced: curves.reduce(run, 'loss', asked),
  totals: curves.totals(run, 'loss'),
});

describe('a curve that is kept in memory', () => {
  test('is the one in the record, after every batch: also with steps that come late', () => {
    const figure = fc.oneof(
      { weight: 8, arbitrary: fc.double({ min: -10, max: 1e3, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, 0) },
    );
    const batch = fc.array(fc.record({ step: fc.integer({ min: 1, max: 5_000 }), value: figure }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(fc.array(batch, { minLength: 1, maxLength: 6 }), (batches) => {
        const { db, run, add } = newCurve();
        const kept = createCurves(db);
        add(line(2_000, 2_000 + CHUNK));
        for (const points of batches) {
          add(points);
          expect(seen(kept, run)).toEqual(seen(createCurves(db), run));
        }
      }),
      { numRuns: 20 },
    );
  });

  test('shows a step that came late among the others', () => {
    const { db, run, add } = newCurve();
    const curves = createCurves(db);
    add(line(1, 9).filter(({ step }) => step !== 5));
    expect(seen(curves, run).reduced.raw.steps).not.toContain(5);
    add([{ step: 5, value: 50 }]);
    expect(seen(curves, run).reduced).toMatchObject({ count: 9, high: 50 });
    expect(seen(curves, run).totals.totals.at(-1)).toBe(90);
  });

  test('is read once, and then only what is new', () => {
    const { db, run, add } = newCurve();
    add(line(1, 4 * CHUNK));
    const curves = createCurves(db);
    seen(curves, run);
    // What is read again would be missed now.
    db.raw.exec('DELETE FROM metric_chunk');
    add(line(4 * CHUNK + 1, 4 * CHUNK + 3));
    expect(seen(curves, run).reduced.count).toBe(4 * CHUNK + 3);
  });

  test('goes when others need the room: the one that was asked for longest ago', () => {
    const { db, run } = newCurve();
    for (const name of ['a', 'b', 'c']) appendPoints(db, run, name, line(1, 500));
    const counts = (curves: Curves, ...names: string[]): number[] =>
      names.map((name) => curves.reduce(run, name, WHOLE).count);
    // Steps, values and means of two curves.
    const curves = createCurves(db, 2 * 3 * 500);
    expect(counts(curves, 'a', 'b', 'a', 'c')).toEqual([500, 500, 500, 500]);
    db.raw.exec('DELETE FROM metric_point');
    expect(counts(curves, 'c', 'a', 'b')).toEqual([500, 500, 0]);
  });
});

describe('a curve against cost', () => {
  test('comes to what the epochs really cost', () => {
    const { db, run, add } = newCurve();
    add(line(1, 30));
    appendPoints(
      db,
      run,
      'ms',
      line(1, 30, (step) => (step <= 10 ? 100 : 300)),
    );
    updateRun(db, run, { steps_per_epoch: 10, epoch: 3, state: 'training' });
    const lease = takeLease(db, run, 'test:1');
    for (const [epoch, money] of [
      [1, 2],
      [2, 5],
    ] as const) {
      db.raw
        .prepare(
          `INSERT INTO usage (run, epoch, stage, launch, device_seconds, joules, metered, money, currency)
           VALUES (?, ?, 'train', ?, 1, 1, 1, ?, 'EUR')`,
        )
        .run(run, epoch, newLaunch(db, lease, epoch).id, money);
    }
    const at = axisOf(db, createCurves(db), runForPage(db, run)!, 'cost').at;
    expect([0, 5, 10, 20].map(at)).toEqual([0, 1, 2, 7].map((money) => expect.closeTo(money, 9)));
    // What is not paid yet counts at the recipe's watts.
    const { watts, price_per_kwh: price } = recipeOf(getRun(db, run)).cost;
    expect(at(30) - at(20)).toBeCloseTo(((3 * watts) / 3_600_000) * price, 12);
  });
});
