/** Removes what a trainer that is gone left of the sample that it was making. */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PREVIEW_NAME, samplesFolder } from '../../db/doing.ts';

/** What tiller-diffusion renames into its place once it is whole. */
const TEMPORARY = /^\..+\.tmp-\d+$/;

/** Only while no trainer of the run is alive. */
export async function clearPreviews(runFolder: string): Promise<void> {
  const folder = samplesFolder(runFolder);
  // A run must not fail over what nobody needs.
  if (!existsSync(folder)) return;
  for (const name of await readdir(folder)) {
    if (!PREVIEW_NAME.test(name) && !TEMPORARY.test(name)) continue;
    await rm(join(folder, name), { force: true });
  }
}
