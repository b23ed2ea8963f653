/**
 * A folder of pictures and captions becomes a prepared data set: every picture once, at its size,
 * under a name that is the hash of its content. What can't be used is left out, counted and named.
 */
import { join } from 'node:path';
import { TillerError } from '../../recipes/errors.ts';
import type { DataSettings } from '../../recipes/schema.ts';
import { findRegularisation, findTraining, type Found } from './candidates.ts';
import { onDisk, removeFolder } from './disk.ts';
import { holdOut } from './hold-out.ts';
import { readLicence } from './licence.ts';
import { makeManifest, MASKS, PIXELS } from './manifest.ts';
import { PixelFile } from './pixel-file.ts';
import { publish, temporaryFolder } from './publish.ts';
import { regularise } from './regularise.ts';
import { lookAt, recordSources } from './sources.ts';
import { type Taken, takePictures } from './take-pictures.ts';
import type { DataItem, DataProblem, ProblemKind } from './types.ts';

export interface PrepareOptions {
  data: DataSettings;
  seed: number;
  datasetsFolder: string;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

export interface PreparedDataset {
  hash: string;
  /** Absolute path of manifest.json. */
  manifest: string;
  /** Pictures of the folder; those of regularisation are counted apart. */
  trainItems: number;
  validationItems: number;
  regularisationItems: number;
  /** Sizes that are trained. */
  shapes: number;
  /** What was left out, each file by name, and how many of each kind. */
  problems: DataProblem[];
  problemCounts: Partial<Record<ProblemKind, number>>;
  licence: string | null;
  items: DataItem[];
  /** An intact set of the same hash was there already. */
  reused: boolean;
}

export async function prepareDataset(options: PrepareOptions): Promise<PreparedDataset> {
  const { data, datasetsFolder, signal } = options;
  const training = await findTraining(data, signal);
  const regularisation =
    data.regularisation_folder === undefined
      ? { candidates: [], problems: [], licences: [] }
      : await findRegularisation(data, data.regularisation_folder, signal);
  // Before any of it is read: what is edited meanwhile is then told as a change.
  const sources = await lookAt(data, signal);
  const licence = await readLicence(data.folder, training.licences);
  return onDisk(datasetsFolder, async () => {
    const temporary = await temporaryFolder(datasetsFolder);
    try {
      const read = await readAll(training, regularisation, temporary, options);
      const { items, problems } = read;
      const manifest = makeManifest(items, read.pixelsHash, read.masksHash);
      const { path, reused } = await publish(temporary, datasetsFolder, manifest);
      await recordSources(path, data, sources);
      const regularisationItems = items.filter((item) => item.regularisation).length;
      return {
        hash: manifest.hash,
        manifest: path,
        trainItems: manifest.train.length - regularisationItems,
        validationItems: manifest.validation.length,
        regularisationItems,
        shapes: new Set(manifest.train.map(({ bucket }) => bucket.join('x'))).size,
        problemCounts: tally(problems),
        problems,
        licence,
        items,
        reused,
      };
    } finally {
      await removeFolder(temporary); // gone already where it was published
    }
  });
}

async function readAll(
  training: Found,
  regularisation: Found,
  temporary: string,
  { data, seed, signal, onProgress }: PrepareOptions,
) {
  const total = training.candidates.length + regularisation.candidates.length;
  let done = 0;
  const tell = () => {
    signal?.throwIfAborted();
    onProgress?.(done++, total);
  };
  await using pixels = await PixelFile.create(join(temporary, PIXELS));
  await using masks = await PixelFile.create(join(temporary, MASKS));
  const taken = takePictures(data, { pixels, masks });
  const { items, problems } = taken;
  for (const candidate of training.candidates) {
    tell();
    await taken.take(candidate);
  }
  if (items.length === 0) throw emptyFolder(data.folder, [...problems, ...training.problems]);
  divide(taken, data.validation_share, seed);
  await regularise(regularisation.candidates, taken, seed, tell);
  onProgress?.(total, total);
  problems.push(...training.problems, ...regularisation.problems);
  const hasMasks = masks.length > 0;
  const masksHash = await masks.finish();
  if (!hasMasks) await removeFolder(join(temporary, MASKS));
  return {
    items,
    problems,
    pixelsHash: await pixels.finish(),
    masksHash: hasMasks ? masksHash : undefined,
  };
}

function divide({ items }: Taken, share: number, seed: number): void {
  const held = holdOut(
    items.map(({ key }) => key),
    share,
    seed,
  );
  for (const item of items) {
    if (!held.has(item.key)) continue;
    item.split = 'validation';
    item.repeats = 1;
  }
}

export function tally(problems: readonly DataProblem[]): Partial<Record<ProblemKind, number>> {
  const counts: Partial<Record<ProblemKind, number>> = {};
  for (const { kind } of problems) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function emptyFolder(folder: string, problems: readonly DataProblem[]): TillerError {
  const counts = Object.entries(tally(problems)).map(([kind, count]) => `${count} ${kind}`);
  const why = counts.length === 0 ? 'no picture is in it' : counts.join(', ');
  const [first] = problems;
  const example = first === undefined ? '' : `, such as ${first.file}: ${first.detail}`;
  return new TillerError('DATA_EMPTY', `No usable picture is in ${folder} (${why}${example})`, {
    hint: 'Put PNG, JPEG or WebP files there, each with a .txt of the same name.',
  });
}
