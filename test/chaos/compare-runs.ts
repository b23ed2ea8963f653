/** What a run that was killed has that a run nobody touched has not, and the other way round. */
import type { Db } from '../../db/connection.ts';
import { eventsAfter } from '../../db/events.ts';
import { listEvaluations } from '../../db/evaluations.ts';
import { readPoints } from '../../db/metrics.ts';
import { getRun } from '../../db/runs.ts';
import { listSamples, type SampleRow } from '../../db/samples.ts';
import { keptCheckpoints } from '../../db/checkpoints.ts';

export interface Comparison {
  /** metric rows that the storm lost, and rows that it has too many */
  lost: number;
  doubled: number;
  samplesMissing: number;
  /** final weights, every metric, every sample and every validation have the same bits */
  identical: boolean;
  differences: string[];
}

export function compareRuns(db: Db, calm: string, storm: string): Comparison {
  const differences: string[] = [];
  let lost = 0;
  let doubled = 0;
  for (const name of ['loss', 'lr', 'grad_norm']) {
    const expected = new Map(readPoints(db, calm, name).map(({ step, value }) => [step, value]));
    const seen = new Set<number>();
    for (const { step, value } of readPoints(db, storm, name)) {
      if (seen.has(step) || !expected.has(step)) doubled += 1;
      else if (!Object.is(expected.get(step), value)) {
        differences.push(`${name} of step ${step}: ${expected.get(step)} and ${value}`);
      }
      seen.add(step);
    }
    lost += [...expected.keys()].filter((step) => !seen.has(step)).length;
    if (expected.size === 0) differences.push(`the calm run has no ${name}`);
  }
  const samples = new Map(
    listSamples(db, storm).map((sample) => [identity(sample), sample.artifact]),
  );
  const wanted = listSamples(db, calm);
  if (wanted.length === 0) differences.push('the calm run has no samples');
  let samplesMissing = 0;
  for (const sample of wanted) {
    const artifact = samples.get(identity(sample));
    if (artifact === undefined) samplesMissing += 1;
    else if (artifact !== sample.artifact) differences.push(`sample ${identity(sample)}`);
  }
  const losses = (run: string) =>
    JSON.stringify(
      listEvaluations(db, run).map(({ epoch, weights, loss, bins }) => [
        epoch,
        weights,
        loss,
        bins,
      ]),
    );
  if (losses(calm) !== losses(storm)) differences.push('validation losses');
  const [mine, theirs] = [finalWeights(db, storm), finalWeights(db, calm)];
  if (mine === undefined || mine !== theirs)
    differences.push(`final weights: ${theirs} and ${mine}`);
  for (const { message } of eventsAfter(db, 0, storm).filter(({ kind }) => kind === 'difference')) {
    differences.push(message);
  }
  return { lost, doubled, samplesMissing, identical: differences.length === 0, differences };
}

const identity = ({
  epoch,
  step,
  run,
  prompt,
  seed,
  sampler,
  sampling_steps,
  width,
  height,
  weights,
}: SampleRow): string =>
  [
    epoch,
    step,
    prompt.slice(run.length),
    seed,
    sampler,
    sampling_steps,
    width,
    height,
    weights,
  ].join(' ');

function finalWeights(db: Db, run: string): string | null | undefined {
  const { epochs } = getRun(db, run);
  return keptCheckpoints(db, run).find(({ kind, epoch }) => kind === 'epoch' && epoch === epochs)
    ?.weights_sha256;
}
