/** Everything that a comparison of two epochs says in figures. */
import type { Db } from '../db/connection.ts';
import {
  epochsForPage,
  evaluationsOfRun,
  usageOfEpochs,
  type ListedRun,
  type ShownEvaluation,
} from '../db/pages.ts';
import type { Facts, SideFacts } from './pages/compare-facts.ts';
import { recipeOf } from './progress.ts';

/** A recipe as a flat list: `train.learning_rate` → `0.001`. */
const flatten = (value: unknown, path: string, into: Map<string, string>): void => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, child] of Object.entries(value)) {
      flatten(child, path === '' ? key : `${path}.${key}`, into);
    }
  } else {
    into.set(path, typeof value === 'string' ? value : JSON.stringify(value));
  }
};

/** A name and a place in the queue say nothing about the model. */
const beside = new Set(['name', 'priority']);

const settingsThatDiffer = (a: ListedRun, b: ListedRun): Facts['settings'] => {
  const left = new Map<string, string>();
  const right = new Map<string, string>();
  flatten(recipeOf(a), '', left);
  flatten(recipeOf(b), '', right);
  const keys = [...new Set([...left.keys(), ...right.keys()])].filter((key) => !beside.has(key));
  return keys
    .map((key) => ({ key, a: left.get(key) ?? 'not set', b: right.get(key) ?? 'not set' }))
    .filter((setting) => setting.a !== setting.b);
};

export interface SideChoice {
  readonly run: ListedRun;
  readonly epoch: number;
}

const evaluationOf = (db: Db, { run, epoch }: SideChoice): ShownEvaluation | undefined =>
  evaluationsOfRun(db, run.id, recipeOf(run).validation.weights).find((row) => row.epoch === epoch);

const sideFacts = (db: Db, side: SideChoice, name: string): SideFacts => {
  const epoch = epochsForPage(db, side.run.id).find((row) => row.epoch === side.epoch);
  const usage = usageOfEpochs(db, side.run.id).filter((row) => row.epoch <= side.epoch);
  const sum = (figure: (row: (typeof usage)[number]) => number): number =>
    usage.reduce((total, row) => total + figure(row), 0);
  return {
    name,
    validation: evaluationOf(db, side)?.loss ?? null,
    train:
      epoch?.trainLoss === null || epoch?.trainLoss === undefined
        ? null
        : { mean: epoch.trainLoss, deviation: epoch.deviation, count: epoch.count },
    steps: epoch?.lastStep ?? 0,
    seconds: sum((row) => row.seconds),
    joules: sum((row) => row.joules),
    money: sum((row) => row.money),
  };
};

/** Losses can be held against each other only on the same held-out pictures and the same noise. */
const incomparable = (a: ListedRun, b: ListedRun): string | null => {
  if (a.id === b.id) return null;
  if (a.dataset !== b.dataset) {
    return "The runs hold out different pictures: their validation losses can't be held against each other.";
  }
  const [left, right] = [recipeOf(a), recipeOf(b)];
  const what = (recipe: typeof left): string =>
    JSON.stringify([
      recipe.validation,
      recipe.seed,
      recipe.train.prediction,
      recipe.train.timesteps,
      recipe.train.beta_schedule,
      recipe.train.beta_start,
      recipe.train.beta_end,
    ]);
  return what(left) === what(right)
    ? null
    : "The runs are validated differently: their losses can't be held against each other.";
};

export const factsOf = (db: Db, a: SideChoice, b: SideChoice): Facts => {
  const names =
    a.run.id === b.run.id
      ? ([`epoch ${a.epoch}`, `epoch ${b.epoch}`] as const)
      : ([`${a.run.name}, epoch ${a.epoch}`, `${b.run.name}, epoch ${b.epoch}`] as const);
  const left = evaluationOf(db, a)?.bins ?? [];
  const right = evaluationOf(db, b)?.bins ?? [];
  const timesteps = [...new Set([...left, ...right].map((bin) => bin.timestep))].sort(
    (one, two) => one - two,
  );
  const at = (bins: typeof left, timestep: number): number | null =>
    bins.find((bin) => bin.timestep === timestep)?.loss ?? null;
  return {
    a: sideFacts(db, a, names[0]),
    b: sideFacts(db, b, names[1]),
    bins: timesteps.map((timestep) => ({
      timestep,
      a: at(left, timestep),
      b: at(right, timestep),
    })),
    settings: settingsThatDiffer(a.run, b.run),
    currency: b.run.currency ?? recipeOf(b.run).cost.currency,
    incomparable: incomparable(a.run, b.run),
  };
};
