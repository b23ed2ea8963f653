/** The samples of a run as a grid: a row for each time that samples were made, a column an identity. */
import type { ShownSample } from '../../db/pages.ts';
import { recipeOf } from '../progress.ts';
import type { RunPage } from './run.ts';

/** What a column of the grid stands for: all of a sample's identity but the checkpoint. */
export type Column = Pick<
  ShownSample,
  | 'text'
  | 'negative'
  | 'seed'
  | 'sampler'
  | 'steps'
  | 'guidance'
  | 'width'
  | 'height'
  | 'weights'
  | 'position'
>;

/** All that makes two samples comparable but the checkpoint they come from. */
export const identityOf = (sample: Column): string =>
  [
    sample.text,
    sample.negative,
    sample.seed,
    sample.sampler,
    sample.steps,
    sample.guidance,
    sample.width,
    sample.height,
    sample.weights,
  ].join('\u001f');

export interface GridRow {
  readonly key: string;
  readonly epoch: number;
  readonly step: number;
  readonly requested: boolean;
  readonly cells: Map<string, ShownSample>;
}

export interface Grid {
  readonly columns: Column[];
  readonly rows: GridRow[];
}

/** A sample stands in the column of its identity, never of its index: an edited prompt is a new column. */
export const gridOf = (
  samples: readonly ShownSample[],
  unsampled: readonly Column[] = [],
): Grid => {
  const columns = new Map<string, Column>();
  const rows = new Map<string, GridRow>();
  for (const sample of samples) {
    const identity = identityOf(sample);
    if (!columns.has(identity)) columns.set(identity, sample);
    const requested = sample.request !== null;
    const key = `${sample.epoch}/${sample.step}/${requested ? 'r' : 'e'}`;
    let row = rows.get(key);
    if (row === undefined) {
      row = { key, epoch: sample.epoch, step: sample.step, requested, cells: new Map() };
      rows.set(key, row);
    }
    row.cells.set(identity, sample);
  }
  for (const column of unsampled) columns.set(identityOf(column), column);
  return {
    columns: [...columns.values()].sort((a, b) => a.position - b.position || a.seed - b.seed),
    rows: [...rows.values()],
  };
};

/** Prompts that came later and have no picture yet. */
export const unsampled = ({ samples, offers, run }: RunPage): Column[] => {
  const { samples: recipe, data } = recipeOf(run);
  const sampled = new Set(samples.map(({ position }) => position));
  return offers.prompts
    .filter(({ position }) => !sampled.has(position))
    .map(({ text, negative, seed, width, height, position }) => ({
      text,
      negative,
      seed,
      sampler: recipe.sampler,
      steps: recipe.steps,
      guidance: recipe.guidance,
      width: width ?? data?.resolution ?? 0,
      height: height ?? data?.resolution ?? 0,
      weights: recipe.weights,
      position,
    }));
};
