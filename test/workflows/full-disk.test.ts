/** A disk that is full to the last byte under record, engine, logs and trainer at once. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '../../activities/training/trainer-process.ts';
import { openRecord } from '../../db/connection.ts';
import { eventsAfter } from '../../db/events.ts';
import { homePaths } from '../../db/home.ts';
import { readPoints } from '../../db/metrics.ts';
import { getRun } from '../../db/runs.ts';
import { chaosRecipe, startChaosRun, writePictures } from '../chaos/job.ts';
import { startUp } from '../chaos/up.ts';

// Only root may mount a disk of its own.
const mounts = process.platform === 'linux' && process.getuid?.() === 0;

let disk: string;

beforeAll(async () => {
  disk = await mkdtemp(join(tmpdir(), 'tiller-disk-'));
  if (mounts) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=150m', 'tmpfs', disk]);
});

afterAll(async () => {
  if (mounts) execFileSync('umount', ['-l', disk]);
  await rm(disk, { recursive: true, force: true });
});

(mounts ? test : test.skip)(
  'stops a run at its last good checkpoint, says so, and is forgotten once there is space',
  async () => {
    const home = join(disk, 'home');
    const env = { ...process.env, TILLER_HOME: home };
    const pictures = await mkdtemp(join(tmpdir(), 'tiller-pictures-'));
    const up = await startUp(home, env);
    await up.ready();
    const db = openRecord(homePaths(home).record);
    try {
      const recipe = chaosRecipe(await writePictures(pictures), { epochs: 2, steps: 60 });
      const run = await startChaosRun(db, env, 'full', recipe);
      const until = async (done: () => boolean) => {
        while (!done()) await sleep(50);
      };
      await until(() => getRun(db, run).step >= 10);
      const filler = join(disk, 'filler');
      fill(filler);
      await until(() => getRun(db, run).state_code === 'DISK_FULL');
      expect(getRun(db, run).state).toBe('interrupted');
      await sleep(3_000);
      expect(getRun(db, run).step).toBeLessThan(120);
      await rm(filler);
      await until(() => getRun(db, run).state === 'done');
      expect(readPoints(db, run, 'loss').map(({ step }) => step)).toEqual(
        Array.from({ length: 120 }, (_, index) => index + 1),
      );
      const kinds = eventsAfter(db, 0, run).map(({ kind }) => kind);
      expect(kinds).not.toContain('difference');
    } finally {
      db.close();
      await up.stop();
      await rm(pictures, { recursive: true });
    }
  },
  300_000,
);

/** To the last byte. */
function fill(file: string): void {
  const descriptor = openSync(file, 'w');
  for (const size of [1 << 16, 64]) {
    const block = Buffer.alloc(size, 1);
    try {
      for (;;) writeSync(descriptor, block);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  closeSync(descriptor);
}
