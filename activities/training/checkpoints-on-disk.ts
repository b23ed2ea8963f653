/** The checkpoints of a run as they lie on disk: what a trainer published is there even if no line of it was taken in. */
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface CheckpointFolder {
  step: number;
  path: string;
}

const NAME = /^step-(\d{8})$/;

/** Complete checkpoints at or below `lastStep`, newest first. One without a manifest is none. */
export async function checkpointsOnDisk(
  folder: string,
  lastStep: number,
): Promise<CheckpointFolder[]> {
  const found: CheckpointFolder[] = [];
  for (const name of await readdir(folder)) {
    const step = Number(NAME.exec(name)?.[1] ?? Number.NaN);
    if (!(step <= lastStep)) continue;
    const path = join(folder, name);
    if (existsSync(join(path, 'manifest.json'))) found.push({ step, path });
  }
  return found.sort((a, b) => b.step - a.step);
}

/** Moves a damaged checkpoint out of the way: kept for whoever wants to look, never loaded. */
export async function quarantine(path: string): Promise<void> {
  const target = join(dirname(path), `damaged-${basename(path)}-${Date.now()}`);
  await rename(path, target);
}

/** Removes what a killed trainer left half-written. Only while no trainer of the run is alive. */
export async function removeHalfWritten(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (NAME.test(name) ? existsSync(join(folder, name, 'manifest.json')) : !isTemporary(name)) {
      continue;
    }
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

const isTemporary = (name: string): boolean => /^\.|\.(tmp|partial)/.test(name);
