/**
 * Curves in memory: each is read once and then only its new points. Smoothing runs over the whole of a
 * curve before anything is left out, so that zooming never changes it.
 */
import type { Db } from '../db/connection.ts';
import { readPoints } from '../db/metrics.ts';
import { reduceCurve, type ReducedCurve, type Reduction } from './reduce.ts';

interface Curve {
  readonly steps: number[];
  readonly values: number[];
  /** Running means by weight; each as long as `values` was when it was last asked for. */
  readonly smoothed: Map<number, { mean: number; count: number; values: number[] }>;
}

export interface Curves {
  reduce(run: string, name: string, reduction: Reduction): ReducedCurve;
  /** All steps and values of a curve; new points are read first. */
  all(run: string, name: string): { steps: readonly number[]; values: readonly number[] };
}

const KEPT_CURVES = 8;

/** Running mean with the weight of its start taken out, as TensorBoard's; what is not finite is skipped. */
const smoothedValues = (curve: Curve, weight: number): readonly number[] => {
  let state = curve.smoothed.get(weight);
  if (state === undefined) {
    state = { mean: 0, count: 0, values: [] };
    curve.smoothed.set(weight, state);
  }
  for (let index = state.values.length; index < curve.values.length; index += 1) {
    const value = curve.values[index] ?? NaN;
    if (Number.isFinite(value)) {
      state.mean = state.mean * weight + (1 - weight) * value;
      state.count += 1;
    }
    state.values.push(state.count === 0 ? NaN : state.mean / (1 - weight ** state.count));
  }
  return state.values;
};

export const createCurves = (db: Db): Curves => {
  const kept = new Map<string, Curve>();

  const read = (run: string, name: string): Curve => {
    const key = `${run}\u0000${name}`;
    const curve: Curve = kept.get(key) ?? { steps: [], values: [], smoothed: new Map() };
    // The one used last stands last; the first one is dropped when there are too many.
    kept.delete(key);
    kept.set(key, curve);
    if (kept.size > KEPT_CURVES) kept.delete(kept.keys().next().value ?? '');
    const next = (curve.steps.at(-1) ?? -1) + 1;
    for (const { step, value } of readPoints(db, run, name, next, Number.MAX_SAFE_INTEGER)) {
      curve.steps.push(step);
      curve.values.push(value);
    }
    return curve;
  };

  return {
    reduce(run, name, asked) {
      const curve = read(run, name);
      const smoothed = asked.smooth > 0 ? smoothedValues(curve, asked.smooth) : undefined;
      return reduceCurve(curve.steps, curve.values, smoothed, asked);
    },
    all: read,
  };
};
