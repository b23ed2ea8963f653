import { describe, expect, test } from '@jest/globals';
import { mkdir, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { secondEpoch, useTrainer } from './harness.ts';
import { checkpointPath, contents, jobFor, STEPS } from './job.ts';
import { of } from './launch.ts';

const { path, program, place, runJob, launchJob, train, whole } = useTrainer();

describe('a full disk', () => {
  const mount = async (folder: string): Promise<boolean> => {
    await mkdir(folder, { recursive: true });
    const { failed, stderr } = await execa(
      'mount',
      ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', folder],
      { reject: false },
    );
    if (failed)
      console.warn(`not tested: a full disk needs a mount, which is not allowed here (${stderr})`);
    return !failed;
  };

  /** All room but for a job file. */
  const fill = async (file: string): Promise<void> => {
    const writing = writeFile(file, Buffer.alloc(16 << 20));
    await expect(writing).rejects.toMatchObject({ code: 'ENOSPC' });
    await truncate(file, (await stat(file)).size - (64 << 10));
  };

  test('training stops at the last good checkpoint, and goes on when there is room', async () => {
    const folder = path('small-disk');
    if (!(await mount(folder))) return;
    try {
      const { where: other } = await whole();
      const where = await place('small-disk');
      await train(where);
      const good = await contents(checkpointPath(where, STEPS));
      const trained = await launchJob(where, secondEpoch(where));
      await trained.until((event) => event.event === 'step');
      await fill(join(folder, 'filler'));
      const { code, events } = await trained.finished;
      expect([code, of(events, 'error')]).toMatchObject([73, [{ code: 'DISK_FULL', exit: 73 }]]);
      expect(of(events, 'checkpoint')).toEqual([]);
      expect(await readdir(join(folder, 'checkpoints'))).toEqual(['step-00000020']);
      expect(await contents(checkpointPath(where, STEPS))).toEqual(good);
      // While there is no room it says so at once, and doesn't train for nothing.
      const again = await runJob(where, secondEpoch(where));
      expect([again.code, of(again.events, 'step')]).toEqual([73, []]);
      await rm(join(folder, 'filler'));
      await train(where, secondEpoch(where));
      const end = checkpointPath(where, 2 * STEPS);
      expect(await contents(end)).toEqual(await contents(checkpointPath(other, 2 * STEPS)));
    } finally {
      await execa('umount', [folder]);
    }
  });

  test('the disk of the spool', async () => {
    const file = path('full.json');
    await writeFile(file, JSON.stringify(jobFor(await place(), {})));
    const shell = `exec "${program()}" train --job "${file}" > /dev/full`;
    const { exitCode, stderr } = await execa('sh', ['-c', shell], {
      reject: false,
      stdin: 'ignore',
    });
    expect([exitCode, stderr]).toEqual([73, expect.stringContaining("can't write an event")]);
  });
});
