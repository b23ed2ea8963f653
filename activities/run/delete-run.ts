/** Deletes a run: its rows in one transaction, then its files. Whatever is cut off, a sweep finishes. */
import { rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { artifactPath } from '../../db/home.ts';
import { forgetArtifact, forgetRun, forgottenRuns, loneArtifacts } from '../../db/forget.ts';
import type { Deps } from '../deps.ts';
import { runFolder } from '../training/job.ts';

/** While trainers work, a young picture may be one whose sample is not recorded yet. */
const OLD_MS = 3600 * 1000;
/** The dashboard keeps them beside the artifact. */
const THUMBNAILS = [256, 512];

export const createForgetRun =
  ({ db, home }: Deps) =>
  async (run: string): Promise<void> =>
    forgetRun(db, run, runFolder(home, run));

/** Removes the folders of all deleted runs, and the pictures that only they had. */
export const createSweep =
  ({ db, home }: Pick<Deps, 'db' | 'home'>) =>
  async (): Promise<void> => {
    for (const run of forgottenRuns(db)) {
      await rm(runFolder(home, run), { recursive: true, force: true });
    }
    for (const sha256 of loneArtifacts(db)) {
      const file = artifactPath(home, sha256);
      forgetArtifact(db, sha256, (busy) => {
        if (busy && !isOld(file)) return false;
        for (const path of [...THUMBNAILS.map((size) => `${file}.${size}.webp`), file]) {
          rmSync(path, { force: true });
        }
        return true;
      });
    }
  };

function isOld(file: string): boolean {
  const { mtimeMs = 0 } = statSync(file, { throwIfNoEntry: false }) ?? {};
  return mtimeMs < Date.now() - OLD_MS;
}
