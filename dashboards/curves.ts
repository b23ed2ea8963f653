/**
 * Curves in memory: each is read once and then only its new points. Smoothing runs over the whole of a
 * curve before anything is left out, so that zooming never changes it.
 */
import type { Db } from '../db/connection.ts';
import { readColumnsAfter } from '../db/metrics.ts';
import { Column } from './column.ts';
import { reduceCurve, type ReducedCurve, type Reduction } from './reduce.ts';

export interface Curves {
  reduce(run: string, name: string, reduction: Reduction): ReducedCurve;
  /** All steps of a curve, and what its values come to up to each; those that are no number add nothing. */
  totals(run: string, name: string): { steps: Float64Array; totals: Float64Array };
}

/** What each value becomes by what was before it. */
type Follow = (value: number) => number;

/** Running mean with the weight of its start taken out, as TensorBoard's; what is not finite is skipped. */
const runningMean = (weight: number): Follow => {
  let mean = 0;
  let startWeight = 1;
  return (value) => {
    if (Number.isFinite(value)) {
      mean = mean * weight + (1 - weight) * value;
      startWeight *= weight;
    }
    return startWeight === 1 ? NaN : mean / (1 - startWeight);
  };
};

const runningSum = (): Follow => {
  let sum = 0;
  return (value) => {
    if (Number.isFinite(value)) sum += value;
    return sum;
  };
};

/** 128 MiB: twenty curves of a million steps with nothing, or five with all that is made of them. */
const KEPT_DOUBLES = 16 * 1024 * 1024;

class Curve {
  readonly steps = new Column();
  readonly values = new Column();
  readonly #made = new Map<string, { column: Column; follow: Follow }>();

  get doubles(): number {
    return this.steps.length * (2 + this.#made.size);
  }

  /** What a way of following makes of the whole curve; only what is new is computed. */
  made(name: string, begin: () => Follow): Float64Array {
    let made = this.#made.get(name);
    if (made === undefined) {
      made = { column: new Column(), follow: begin() };
      this.#made.set(name, made);
    }
    made.column.extend(this.values.all, made.follow);
    return made.column.all;
  }
}

/** @param keep how many doubles stay in memory; the curve that was asked for last always does */
export const createCurves = (db: Db, keep = KEPT_DOUBLES): Curves => {
  /** The one used last stands last. */
  const kept = new Map<string, Curve>();

  const withNew = (curve: Curve, run: string, name: string): Curve => {
    const last = curve.steps.all.at(-1) ?? -1;
    const { steps, values, count } = readColumnsAfter(db, run, name, last);
    // A step that came late lies among those that are here.
    const missed = curve.steps.length + steps.length !== count;
    if (missed && curve.steps.length > 0) return withNew(new Curve(), run, name);
    curve.steps.append(steps);
    curve.values.append(values);
    return curve;
  };

  const read = (run: string, name: string): Curve => {
    const key = `${run}\u0000${name}`;
    const curve = withNew(kept.get(key) ?? new Curve(), run, name);
    kept.delete(key);
    let doubles = curve.doubles;
    for (const [other, { doubles: more }] of [...kept].toReversed()) {
      doubles += more;
      if (doubles > keep) kept.delete(other);
    }
    kept.set(key, curve);
    return curve;
  };

  return {
    reduce(run, name, asked) {
      const curve = read(run, name);
      const { smooth } = asked;
      const smoothed =
        smooth > 0 ? curve.made(`mean ${smooth}`, () => runningMean(smooth)) : undefined;
      return reduceCurve(curve.steps.all, curve.values.all, smoothed, asked);
    },
    totals(run, name) {
      const curve = read(run, name);
      return { steps: curve.steps.all, totals: curve.made('sum', runningSum) };
    },
  };
};
