/** The JSON of the reading commands: snake_case, times in ISO 8601, the same names as in the record. */
import { progressOf } from '../dashboards/progress.ts';
import type { Db } from '../db/connection.ts';
import type { DatasetRow } from '../db/datasets.ts';
import type {
  EpochUsage,
  ListedRun,
  ShownEpoch,
  ShownEvaluation,
  ShownSample,
} from '../db/pages.ts';

const time = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString();

export function runJson(db: Db, run: ListedRun) {
  const { steps, pace, secondsLeft, joules, money, currency } = progressOf(db, run, Date.now());
  return {
    id: run.id,
    name: run.name,
    state: run.state,
    reason: run.reason,
    code: run.code,
    trainer: run.trainer,
    device: run.device,
    epoch: run.epoch,
    epochs: run.epochs,
    step: run.step,
    steps,
    ms_per_step: pace,
    seconds_left: secondsLeft,
    validation_loss: run.lastValidation,
    best_validation_loss: run.bestValidation,
    best_epoch: run.bestEpoch,
    kwh: joules / 3_600_000,
    money,
    currency,
    created_at: time(run.createdAt),
    started_at: time(run.startedAt),
    ended_at: time(run.endedAt),
  };
}

/** What the data set stage left out: docs/reference/data.md. */
export interface LeftOut {
  kind: string;
  file: string;
  detail: string;
}

export const datasetJson = (dataset: DatasetRow) => ({
  hash: dataset.id,
  folder: dataset.folder,
  manifest: dataset.manifest,
  width: dataset.width,
  height: dataset.height,
  train_items: dataset.train_items,
  validation_items: dataset.validation_items,
  problems: JSON.parse(dataset.problems) as LeftOut[],
  licence: dataset.licence,
});

export const epochJson = (epoch: ShownEpoch, usage: EpochUsage | undefined) => ({
  epoch: epoch.epoch,
  state: epoch.state,
  first_step: epoch.firstStep,
  last_step: epoch.lastStep,
  train_loss: epoch.trainLoss,
  train_loss_deviation: epoch.deviation,
  train_loss_count: epoch.count,
  validation_loss: epoch.validationLoss,
  device_seconds: usage?.seconds ?? null,
  kwh: usage === undefined ? null : usage.joules / 3_600_000,
  money: usage?.money ?? null,
  currency: usage?.currency ?? null,
  trained_at: time(epoch.trainedAt),
  evaluated_at: time(epoch.evaluatedAt),
});

export const validationJson = ({ step, weights, loss, bins, items }: ShownEvaluation) => ({
  step,
  weights,
  loss,
  bins,
  items,
});

export const sampleJson = (sample: ShownSample, url: string | undefined) => ({
  id: sample.id,
  epoch: sample.epoch,
  step: sample.step,
  prompt: sample.text,
  negative: sample.negative,
  seed: sample.seed,
  sampler: sample.sampler,
  steps: sample.steps,
  guidance: sample.guidance,
  width: sample.width,
  height: sample.height,
  weights: sample.weights,
  url: url === undefined ? null : `${url}/media/${sample.id}`,
});
