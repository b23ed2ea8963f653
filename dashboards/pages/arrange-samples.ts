/** The samples of a run as a grid: a row for each time that samples were made, a column an identity. */
import type { ShownSample } from '../../db/pages.ts';
import { beginningOf } from '../../db/beginnings.ts';
import { extraOf } from '../../db/prompts.ts';
import { rowId } from '../doing.ts';
import { recipeOf, underWay } from '../progress.ts';
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
  | 'extra'
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
    beginningOf(sample),
  ].join('\u001f');

export interface GridRow {
  readonly id: string;
  readonly epoch: number;
  readonly step: number;
  readonly requested: boolean;
  readonly cells: Map<string, ShownSample>;
}

/** A row that has no sample yet: its place is kept, so that nothing moves when they come. */
export type Slot = Omit<GridRow, 'id' | 'cells'>;

export interface Grid {
  readonly columns: Column[];
  readonly rows: GridRow[];
}

/** A sample stands in the column of its identity, never of its index: an edited prompt is a new column. */
export const gridOf = (
  samples: readonly ShownSample[],
  unsampled: readonly Column[] = [],
  slots: readonly Slot[] = [],
): Grid => {
  const columns = new Map<string, Column>();
  const rows = new Map<string, GridRow>();
  const rowOf = ({ epoch, step, requested }: Slot): GridRow => {
    const id = rowId(epoch, step, requested);
    const row = rows.get(id) ?? { id, epoch, step, requested, cells: new Map() };
    rows.set(id, row);
    return row;
  };
  for (const sample of samples) {
    const identity = identityOf(sample);
    if (!columns.has(identity)) columns.set(identity, sample);
    const { epoch, step, request } = sample;
    rowOf({ epoch, step, requested: request !== null }).cells.set(identity, sample);
  }
  for (const slot of slots) rowOf(slot);
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
    .map((row) => ({ ...row, ...extraOf(row) }))
    .map(({ text, negative, seed, width, height, position, steps, guidance, extra }) => ({
      text,
      negative,
      seed,
      sampler: recipe.sampler,
      steps: steps ?? recipe.steps,
      guidance: guidance ?? recipe.guidance,
      width: width ?? data?.resolution ?? 0,
      height: height ?? data?.resolution ?? 0,
      weights: recipe.weights,
      position,
      extra,
    }));
};

/** The row of the sample that is being made, and that of the next evaluation. */
export const slotsOf = ({ run, samples, making }: RunPage): { made: Slot[]; next: Slot[] } => {
  const made = making === null ? [] : [making];
  const { epoch, stepsPerEpoch } = run;
  const sampled = samples.filter(({ request }) => request === null).map((each) => each.epoch);
  // A trainer that makes no samples has made none before, and is never said to evaluate.
  const comes = underWay.has(run.state) && (sampled.length > 0 || run.state === 'evaluating');
  if (!comes || stepsPerEpoch === null || sampled.includes(epoch)) return { made, next: [] };
  return { made, next: [{ epoch, step: epoch * stepsPerEpoch, requested: false }] };
};
