/** How far a run is: pace, time left, and what it has cost so far. */
import { readPoints } from '../db/metrics.ts';
import type { Db } from '../db/connection.ts';
import { epochsForPage, type ListedRun } from '../db/pages.ts';
import { newestCheckpoint, runningLaunches } from '../db/page-details.ts';
import type { Recipe } from '../recipes/schema.ts';
import { doingWords } from './doing.ts';
import {
  formatAge,
  formatCount,
  formatDuration,
  formatEnergy,
  formatMoney,
  formatPace,
  plural,
} from './pages/format.ts';

/** States in which a run is on its way; the others are its ends. */
export const underWay = new Set([
  'queued',
  'preparing',
  'waiting',
  'training',
  'evaluating',
  'exporting',
  'pausing',
  'paused',
  'stopping',
  'interrupted',
]);

/** States in which nothing moves, so that no time left can be told. */
const still = new Set(['queued', 'waiting', 'paused']);

const PACE_STEPS = 50;
/** A last step that is older than this while a run trains is said. */
const OLD_MS = 15_000;

export const recipeOf = (run: ListedRun): Recipe => JSON.parse(run.recipe) as Recipe;

export interface Progress {
  readonly steps: number | null;
  /** 0 to 1. */
  readonly fraction: number;
  /** Milliseconds a step, over the newest steps. */
  readonly pace: number | null;
  readonly secondsLeft: number | null;
  readonly joules: number;
  readonly money: number;
  readonly currency: string;
}

const paceOf = (db: Db, run: ListedRun): number | null => {
  const points = readPoints(db, run.id, 'ms', Math.max(0, run.step - PACE_STEPS + 1), run.step);
  let sum = 0;
  let count = 0;
  for (const { value } of points) {
    if (!Number.isFinite(value)) continue;
    sum += value;
    count += 1;
  }
  return count === 0 ? null : sum / count;
};

/** What ending the trainer now, without a save, costs. */
export const lostByForce = (db: Db, run: ListedRun): string => {
  const steps = run.step - (newestCheckpoint(db, run.id)?.step ?? 0);
  if (steps <= 0) return 'loses no step';
  const pace = paceOf(db, run);
  const again = pace === null ? '' : ` (about ${formatDuration((steps * pace) / 1000)})`;
  return `loses the ${plural(steps, 'step')} since the last checkpoint; resuming trains them again${again}`;
};

/** Mean seconds that the run's evaluations took, for those that are still to come. */
export const evaluationSeconds = (db: Db, run: ListedRun): number => {
  const took = epochsForPage(db, run.id)
    .filter((epoch) => epoch.evaluatedAt !== null && epoch.trainedAt !== null)
    .map((epoch) => ((epoch.evaluatedAt ?? 0) - (epoch.trainedAt ?? 0)) / 1000);
  return took.length === 0 ? 0 : took.reduce((sum, seconds) => sum + seconds, 0) / took.length;
};

export const progressOf = (db: Db, run: ListedRun, now: number): Progress => {
  const recipe = recipeOf(run);
  const steps = run.stepsPerEpoch === null ? null : run.stepsPerEpoch * run.epochs;
  const moving = underWay.has(run.state);
  const pace = moving ? paceOf(db, run) : null;
  let secondsLeft: number | null = null;
  if (steps !== null && pace !== null && moving && !still.has(run.state)) {
    const epochsLeft = run.epochs - (run.lastEpoch ?? 0);
    secondsLeft = ((steps - run.step) * pace) / 1000 + epochsLeft * evaluationSeconds(db, run);
  }
  // A trainer that still runs has no usage row yet: its time counts at the recipe's watts.
  const running = runningLaunches(db, run.id).reduce(
    (sum, launch) => sum + Math.max(0, now - launch.startedAt) / 1000,
    0,
  );
  const joules = running * recipe.cost.watts;
  return {
    steps,
    fraction: steps === null || steps === 0 ? 0 : Math.min(1, run.step / steps),
    pace,
    secondsLeft,
    joules: run.joules + joules,
    money: run.money + (joules / 3_600_000) * recipe.cost.price_per_kwh,
    currency: run.currency ?? recipe.cost.currency,
  };
};

const stateWords: Record<string, string> = {
  queued: 'queued',
  preparing: 'preparing data',
  waiting: 'waiting for the device',
  training: 'training',
  evaluating: 'evaluating',
  exporting: 'exporting',
  pausing: 'pausing',
  paused: 'paused',
  stopping: 'stopping',
  interrupted: 'interrupted',
  done: 'done',
  stopped: 'stopped',
  failed: 'failed',
};

export const stateOf = (run: ListedRun): string => stateWords[run.state] ?? run.state;

export const toneOf = (run: ListedRun): string => {
  if (run.state === 'failed') return 'bad';
  if (run.state === 'interrupted' || run.state === 'paused' || run.state === 'pausing')
    return 'warn';
  if (run.state === 'done') return 'ok';
  return underWay.has(run.state) && !still.has(run.state) ? 'busy' : 'quiet';
};

/** The texts that a page shows of a run's progress; the stream sends the same ones. */
export const progressTexts = (db: Db, run: ListedRun, now: number): Record<string, string> => {
  const progress = progressOf(db, run, now);
  const old =
    run.state === 'training' && run.lastStepAt !== null && now - run.lastStepAt > OLD_MS
      ? `last step ${formatAge(run.lastStepAt, now)}`
      : '';
  return {
    state: stateOf(run),
    doing: doingWords(db, run.id),
    epoch: `${formatCount(run.epoch)} of ${formatCount(run.epochs)}`,
    step:
      progress.steps === null
        ? formatCount(run.step)
        : `${formatCount(run.step)} of ${formatCount(progress.steps)}`,
    pace: progress.pace === null ? '–' : formatPace(progress.pace),
    left: progress.secondsLeft === null ? '–' : formatDuration(progress.secondsLeft),
    energy: formatEnergy(progress.joules),
    money: formatMoney(progress.money, progress.currency),
    percent: `${Math.floor(progress.fraction * 100)} %`,
    fraction: progress.fraction.toFixed(4),
    old,
  };
};
