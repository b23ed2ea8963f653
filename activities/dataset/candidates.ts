/** The pictures of a folder, with what its layout, its captions and its masks say of each. */
import { basename, join } from 'node:path';
import type { DataSettings } from '../../recipes/schema.ts';
import { findFiles, findMasks, stemOf } from './find-files.ts';
import { layoutOf } from './layout.ts';
import type { Candidate } from './take-pictures.ts';
import type { DataProblem } from './types.ts';

export interface Found {
  candidates: Candidate[];
  problems: DataProblem[];
  licences: string[];
}

export async function findTraining(
  data: DataSettings,
  signal: AbortSignal | undefined,
): Promise<Found> {
  const masks =
    data.mask_folder === undefined ? undefined : await findMasks(data.mask_folder, signal);
  const found = await find(data, data.folder, 'folder', signal);
  for (const candidate of found.candidates) {
    candidate.repeats *= data.repeats;
    const other = masks?.get(stemOf(candidate.file));
    if (other !== undefined) candidate.mask = join(data.mask_folder!, other);
  }
  return found;
}

/** Their names begin with their folder's, so that they can be told from the others. */
export async function findRegularisation(
  data: DataSettings,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<Found> {
  const { candidates, problems, licences } = await find(
    data,
    folder,
    'regularisation_folder',
    signal,
  );
  const named = (file: string) => `${basename(folder)}/${file}`;
  return {
    candidates: candidates.map((candidate) => ({
      ...candidate,
      name: named(candidate.file),
      regularisation: true,
      repeats: 1,
    })),
    problems: problems.map((problem) => ({ ...problem, file: named(problem.file) })),
    licences,
  };
}

async function find(
  data: DataSettings,
  folder: string,
  key: 'folder' | 'regularisation_folder',
  signal: AbortSignal | undefined,
): Promise<Found> {
  const { folder: own, mask_folder: masks, regularisation_folder: regularisation } = data;
  const others = [own, masks, regularisation].filter(
    (other) => other !== undefined && other !== folder,
  ) as string[];
  const { pictures, strayCaptions, licences } = await findFiles(folder, {
    captionEndings: data.caption_extension,
    others,
    key: `data.${key}`,
    signal,
  });
  const placeOf = layoutOf(
    pictures.map(({ file }) => file),
    data.layout,
  );
  const candidates: Candidate[] = [];
  const problems: DataProblem[] = strayCaptions.map((file) => ({
    kind: 'caption-without-picture',
    file,
    detail: 'no picture has its name',
  }));
  for (const { file, caption, mask } of pictures) {
    const placed = placeOf(file);
    if ('kind' in placed) {
      problems.push({ file, ...placed });
      continue;
    }
    candidates.push({
      folder,
      file,
      name: file,
      caption,
      folderCaption: placed.caption,
      mask: data.masks === 'folder' && mask !== null ? join(folder, mask) : undefined,
      repeats: placed.repeats,
      regularisation: false,
    });
  }
  return { candidates, problems, licences };
}
