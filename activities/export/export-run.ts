/** The weights of the last epoch as files that other programs load, named after the run. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { epochCheckpoint } from '../../db/checkpoints.ts';
import { appendEvent } from '../../db/events.ts';
import { getRun, setRunState } from '../../db/runs.ts';
import type { Deps } from '../deps.ts';
import { runFolder } from '../training/job.ts';

const FILES = { 'weights.safetensors': '', 'ema.safetensors': '-ema' } as const;

export const createExportRun =
  ({ db, home }: Deps) =>
  async (runId: string): Promise<void> => {
    const run = getRun(db, runId);
    const checkpoint = epochCheckpoint(db, runId, run.epochs);
    // A trainer of someone's own may keep no checkpoint here: then there is nothing to export.
    if (checkpoint === undefined) return;
    setRunState(db, runId, 'exporting');
    const folder = join(runFolder(home, runId), 'exports');
    await mkdir(folder, { recursive: true });
    for (const [file, suffix] of Object.entries(FILES)) {
      const source = join(checkpoint.path, file);
      if (!existsSync(source)) continue;
      const epoch = String(run.epochs).padStart(6, '0');
      const target = join(folder, `${run.name}-${epoch}${suffix}.safetensors`);
      await copyDurably(source, target);
      appendEvent(db, { run: runId, kind: 'export', epoch: run.epochs, message: target });
    }
  };

async function copyDurably(source: string, target: string): Promise<void> {
  const temporary = `${target}.tmp`;
  await copyFile(source, temporary);
  const handle = await open(temporary, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, target);
}
