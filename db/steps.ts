/** Step lines into curves, and what they say about where the run is. */
import type { Columns } from './chunks.ts';
import type { Db } from './connection.ts';
import { noteDifference } from './differences.ts';
import { appendEvent } from './events.ts';
import type { LaunchRow } from './launches.ts';
import { appendColumns } from './metrics.ts';
import { getRun, updateRun } from './runs.ts';
import type { EventOf } from './said.ts';

type Step = EventOf<'step'>;

/** Curves of a step; the second: whether the same step done again must give the same bits. */
const CURVES = [
  ['loss', true],
  ['lr', false],
  ['grad_norm', true],
  ['ms', false],
] as const;

export function saveSteps(
  db: Db,
  launch: LaunchRow,
  steps: readonly Step[],
): { points: number; redone: number } {
  const first = steps[0];
  if (first === undefined) return { points: 0, redone: 0 };
  const run = getRun(db, launch.run);
  if (launch.first_step === null && first.step <= run.step) {
    appendEvent(db, {
      run: run.id,
      kind: 'resumed',
      epoch: first.epoch,
      step: first.step,
      message: `resumed at step ${first.step}: ${run.step - first.step + 1} steps are done again`,
      data: { launch: launch.id, newest: run.step },
    });
  }
  let points = 0;
  let redone = 0;
  for (const part of ascending(steps)) {
    const curves = columnsOf(part);
    for (const [name, exact] of CURVES) {
      const appended = appendColumns(db, run.id, name, curves[name]);
      points += appended.added;
      if (name === 'loss') redone += appended.redone;
      if (exact && appended.difference !== undefined) {
        noteDifference(db, launch, { code: 'STEP_DIFFERS', what: name, ...appended.difference });
      }
    }
  }
  const newest = steps.reduce((step, event) => Math.max(step, event.step), run.step);
  updateRun(db, run.id, { step: newest, last_step_at: Date.now() });
  return { points, redone };
}

/** Stretches in which every step is above the one before, as a curve takes them. */
function* ascending(steps: readonly Step[]): Generator<readonly Step[]> {
  let start = 0;
  for (let index = 1; index <= steps.length; index++) {
    if (index < steps.length && steps[index]!.step > steps[index - 1]!.step) continue;
    yield steps.slice(start, index);
    start = index;
  }
}

/** By name and not by key: this is the hottest loop of the record. */
function columnsOf(part: readonly Step[]): Record<(typeof CURVES)[number][0], Columns> {
  const size = part.length;
  const loss = new Builder(size);
  const lr = new Builder(size);
  const gradNorm = new Builder(size);
  const ms = new Builder(size);
  for (const event of part) {
    const { step } = event;
    loss.add(step, event.loss);
    lr.add(step, event.lr);
    gradNorm.add(step, event.grad_norm);
    ms.add(step, event.ms);
  }
  return {
    loss: loss.columns(),
    lr: lr.columns(),
    grad_norm: gradNorm.columns(),
    ms: ms.columns(),
  };
}

class Builder {
  readonly #steps: Float64Array;
  readonly #values: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#steps = new Float64Array(capacity);
    this.#values = new Float64Array(capacity);
  }

  add(step: number, value: number | undefined): void {
    if (value === undefined) return;
    this.#steps[this.#size] = step;
    this.#values[this.#size] = value;
    this.#size += 1;
  }

  columns(): Columns {
    return {
      steps: this.#steps.subarray(0, this.#size),
      values: this.#values.subarray(0, this.#size),
    };
  }
}
