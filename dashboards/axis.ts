/** Steps as something else: epochs, hours of training, money. */
import type { Db } from '../db/connection.ts';
import { usageOfEpochs, type ListedRun } from '../db/pages.ts';
import type { Curves } from './curves.ts';
import { lowerBound } from './reduce.ts';
import type { Axis } from './pages/curves.ts';
import { recipeOf } from './progress.ts';

export interface AxisMap {
  readonly label: string;
  readonly at: (step: number) => number;
}

/** Sums up to each step of a figure that each step adds. */
const sums = (values: readonly number[], scale: (index: number) => number): number[] => {
  let sum = 0;
  return values.map((value, index) => {
    if (Number.isFinite(value)) sum += value * scale(index);
    return sum;
  });
};

const lookup =
  (steps: readonly number[], totals: readonly number[]) =>
  (step: number): number =>
    totals[Math.min(totals.length - 1, lowerBound(steps, step))] ?? 0;

/** Without what it needs (steps of an epoch; milliseconds of a step) an axis falls back to steps. */
export const axisOf = (db: Db, curves: Curves, run: ListedRun, axis: Axis): AxisMap => {
  const plain: AxisMap = { label: 'step', at: (step) => step };
  const perEpoch = run.stepsPerEpoch;
  if (axis === 'step') return plain;
  if (axis === 'epoch') {
    return perEpoch === null || perEpoch === 0
      ? plain
      : { label: 'epoch', at: (step) => step / perEpoch };
  }
  const { steps, values } = curves.all(run.id, 'ms');
  if (steps.length === 0) return { ...plain, label: 'step (the trainer sends no times)' };
  if (axis === 'hours') {
    const totals = sums(values, () => 1 / 3_600_000);
    return { label: 'hours of training', at: lookup(steps, totals) };
  }
  const { cost } = recipeOf(run);
  const price = (cost.watts / 3_600_000_000) * cost.price_per_kwh;
  // What an epoch really cost (a meter may have been read) is spread over its steps by their time.
  const paid = new Map(usageOfEpochs(db, run.id).map((row) => [row.epoch, row.money]));
  const epochOf = (index: number): number =>
    perEpoch === null || perEpoch === 0 ? 0 : Math.ceil((steps[index] ?? 0) / perEpoch);
  const times = new Map<number, number>();
  values.forEach((value, index) => {
    const epoch = epochOf(index);
    if (Number.isFinite(value)) times.set(epoch, (times.get(epoch) ?? 0) + value);
  });
  const totals = sums(values, (index) => {
    const epoch = epochOf(index);
    const money = epoch < run.epoch ? paid.get(epoch) : undefined;
    const time = times.get(epoch) ?? 0;
    return money === undefined || time === 0 ? price : money / time;
  });
  return { label: `cost in ${cost.currency}`, at: lookup(steps, totals) };
};
