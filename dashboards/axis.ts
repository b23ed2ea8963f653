/** Steps as something else: epochs, hours of training, money. */
import type { Db } from '../db/connection.ts';
import { usageOfEpochs, type ListedRun } from '../db/pages.ts';
import type { Curves } from './curves.ts';
import { lowerBound } from './reduce.ts';
import type { Axis } from './pages/curves.ts';
import { recipeOf, underWay } from './progress.ts';

export interface AxisMap {
  readonly label: string;
  readonly at: (step: number) => number;
}

/** What was added up to a step, that step included. */
const upTo =
  ({ steps, totals }: { steps: Float64Array; totals: Float64Array }) =>
  (step: number): number =>
    totals[lowerBound(steps, step + 1) - 1] ?? 0;

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
  const times = curves.totals(run.id, 'ms');
  if (times.steps.length === 0) return { ...plain, label: 'step (the trainer sends no times)' };
  const milliseconds = upTo(times);
  if (axis === 'hours') {
    return { label: 'hours of training', at: (step) => milliseconds(step) / 3_600_000 };
  }
  const { cost } = recipeOf(run);
  const label = `cost in ${cost.currency}`;
  const price = (cost.watts / 3_600_000_000) * cost.price_per_kwh;
  if (perEpoch === null || perEpoch === 0) {
    return { label, at: (step) => milliseconds(step) * price };
  }
  // What an epoch really cost (a meter may have been read) is spread over its steps by their time.
  const paid = new Map(usageOfEpochs(db, run.id).map((row) => [row.epoch, row.money]));
  const epochs = [{ time: 0, money: 0, rate: price }];
  const known = underWay.has(run.state) ? run.epoch - 1 : run.epoch;
  for (let epoch = 1; epoch <= known; epoch += 1) {
    const before = epochs[epoch - 1]!;
    const time = milliseconds(epoch * perEpoch);
    const took = time - before.time;
    const money = took === 0 ? 0 : (paid.get(epoch) ?? took * price);
    before.rate = took === 0 ? price : money / took;
    epochs.push({ time, money: before.money + money, rate: price });
  }
  return {
    label,
    at: (step) => {
      const epoch = Math.max(0, Math.ceil(step / perEpoch) - 1);
      const { time, money, rate } = epochs[Math.min(epoch, epochs.length - 1)]!;
      return money + (milliseconds(step) - time) * rate;
    },
  };
};
