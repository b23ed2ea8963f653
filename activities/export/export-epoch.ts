/** One epoch of a run as files that other programs load, out of the record and its checkpoint. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckpointRow, epochCheckpoint } from '../../db/checkpoints.ts';
import type { Db } from '../../db/connection.ts';
import { getDataset } from '../../db/datasets.ts';
import { recipeOf, type RunRow } from '../../db/runs.ts';
import { type ExportJob, PROTOCOL_VERSION } from '../../native/protocol.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Recipe } from '../../recipes/schema.ts';
import type { Manifest } from '../dataset/types.ts';
import { exportMetadata } from './metadata.ts';
import { type ExportFormat, exportName, exportPath, preparePlace } from './place.ts';
import { type CopiedFile, copyAsIs, copyWithState } from './plain-copy.ts';
import { type Exported, type ExporterOptions, runExporter } from './run-exporter.ts';

export interface ExportRequest {
  run: RunRow;
  epoch: number;
  folder: string;
  /** Left out: lora for a run that trained one, single-file else. */
  format?: ExportFormat;
  weights?: 'raw' | 'ema';
  /** Left out: F16; F32 for a model of free sizes. */
  dtype?: ExportJob['dtype'];
  force?: boolean;
  /** Files of a tokenizer for a diffusers folder whose base is a single file. */
  tokenizer?: string;
}

/** "a photo of a cat" in CLIP's numbers: what a LoRA is looked at with. */
export const VERIFY = { ids: [49406, 320, 1125, 539, 320, 2368, 49407], seed: 7, steps: 3 };

/** Errors: REQUEST_REFUSED, EXPORT_FORMAT, EXPORT_FOLDER, EXPORT_EXISTS, and those of runExporter. */
export async function exportEpoch(
  db: Db,
  request: ExportRequest,
  options: ExporterOptions,
): Promise<Exported> {
  const { run, epoch } = request;
  const recipe = recipeOf(run);
  const format = formatOf(recipe, request);
  const checkpoint = checkpointOf(db, run, epoch);
  const path = exportPath(request.folder, exportName(run.name, epoch), format);
  await preparePlace(path, request.force === true);
  const metadata = exportMetadata(run, recipe, checkpoint, await manifestOf(db, run));
  if (typeof recipe.trainer !== 'string' || recipe.model.architecture !== 'sd1') {
    const file = weightsFile(checkpoint, request.weights);
    return { event: 'done', files: [await copyWeights(recipe, checkpoint, file, path, metadata)] };
  }
  return runExporter(
    {
      protocol: PROTOCOL_VERSION,
      base: recipe.base ?? '',
      ...(recipe.vae === undefined ? {} : { vae: recipe.vae }),
      prediction: recipe.train.prediction,
      zero_terminal_snr: recipe.train.zero_terminal_snr,
      checkpoint: checkpoint.path,
      to: path,
      format: format === 'merged' ? 'single-file' : format,
      dtype: request.dtype ?? 'F16',
      weights: request.weights ?? 'auto',
      overwrite: request.force === true,
      threads: run.threads,
      metadata,
      verify: VERIFY,
      ...tokenizerOf(recipe, request),
    },
    options,
  );
}

/** With what a base needs in its header, where the trainer is ours. */
export const copyWeights = (
  { trainer }: Recipe,
  { path }: CheckpointRow,
  file: string,
  target: string,
  metadata: Readonly<Record<string, string>>,
): Promise<CopiedFile> =>
  typeof trainer === 'string'
    ? copyWithState(path, file, target, metadata)
    : copyAsIs(join(path, file), target);

/** Errors: EXPORT_FORMAT. */
function formatOf(recipe: Recipe, { run, format, dtype }: ExportRequest): ExportFormat {
  const refuse = (why: string, hint: string) =>
    new TillerError('EXPORT_FORMAT', `Run ${run.name} ${why}`, { hint });
  if (recipe.model.architecture !== 'sd1' || typeof recipe.trainer !== 'string') {
    if ((format ?? 'single-file') !== 'single-file')
      throw refuse(
        `can't be exported as ${format}`,
        'Its model has sizes of its own: single-file.',
      );
    if ((dtype ?? 'F32') !== 'F32')
      throw refuse(`can't be exported as ${dtype}`, 'Its model is kept as it is trained: f32.');
    return 'single-file';
  }
  const lora = recipe.lora !== undefined;
  const chosen = format ?? (lora ? 'lora' : 'single-file');
  if (!lora && ['lora', 'peft', 'merged'].includes(chosen))
    throw refuse(
      'trained the weights themselves, so that it has no LoRA',
      'Export it as single-file or diffusers; tiller extract takes a LoRA out of that.',
    );
  return chosen;
}

/** Errors: REQUEST_REFUSED. */
function checkpointOf(db: Db, { id, name }: RunRow, epoch: number): CheckpointRow {
  const checkpoint = epochCheckpoint(db, id, epoch);
  if (checkpoint !== undefined && existsSync(checkpoint.path)) return checkpoint;
  throw new TillerError(
    'REQUEST_REFUSED',
    epoch === 0
      ? `Epoch 0 of ${name} is the untouched base, which has no checkpoint`
      : `The checkpoint of epoch ${epoch} of ${name} is not kept`,
    { hint: '`tiller show` lists its epochs.' },
  );
}

function weightsFile({ path }: CheckpointRow, weights: 'raw' | 'ema' | undefined): string {
  const average = existsSync(join(path, 'ema.safetensors'));
  if (weights === 'ema' && !average) {
    throw new TillerError('REQUEST_REFUSED', `${path} has no running mean of the weights`, {
      hint: 'Its recipe has train.ema: 0. Export the raw ones.',
    });
  }
  return weights === 'raw' || !average ? 'weights.safetensors' : 'ema.safetensors';
}

export async function manifestOf(db: Db, { dataset }: RunRow): Promise<Manifest | undefined> {
  if (dataset === null) return undefined;
  try {
    return JSON.parse(await readFile(getDataset(db, dataset).manifest, 'utf8')) as Manifest;
  } catch (error) {
    // A set that was removed since: the weights are what was asked for.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function tokenizerOf({ base = '' }: Recipe, { tokenizer }: ExportRequest) {
  const own = join(base, 'tokenizer');
  const found = existsSync(own) ? own : tokenizer;
  return found === undefined ? {} : { tokenizer: found };
}
