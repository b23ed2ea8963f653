/**
 * A file that is only there to be thrown overboard: when the disk is full, its place is what the record
 * needs to say so.
 */
import { existsSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const BYTES = 1 << 20;
const ballast = (home: string): string => join(home, 'ballast');

/** Errors: ENOSPC where there is no place for it; then nothing of it stays. */
export async function layBallast(home: string): Promise<void> {
  if (existsSync(ballast(home))) return;
  try {
    // Not zeros: a file system might keep those in no place at all.
    await writeFile(ballast(home), Buffer.alloc(BYTES, 1));
  } catch (error) {
    dropBallast(home);
    throw error;
  }
}

export const dropBallast = (home: string): void => rmSync(ballast(home), { force: true });
