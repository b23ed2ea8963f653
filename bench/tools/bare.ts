/** A trainer with nobody around: no engine, no worker, no record. */
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Job } from '../../native/protocol.ts';

export interface Bare {
  /** from the process's start to its end */
  seconds: number;
  /** what it said: lines of JSON */
  spool: string;
}

/** @param folder is made, and is the job's */
export async function runBare(trainer: string, job: Job, folder: string): Promise<Bare> {
  await mkdir(join(folder, 'checkpoints'), { recursive: true });
  await mkdir(join(folder, 'samples'));
  const follow_file = join(folder, 'followed');
  await writeFile(follow_file, '');
  await utimes(follow_file, new Date(), new Date());
  const own: Job = { ...job, folder, orphan: { follow_file, after_seconds: 86_400 } };
  await writeFile(join(folder, 'job.json'), JSON.stringify(own));
  const spool = join(folder, 'spool.jsonl');
  const start = performance.now();
  await execa(trainer, [job.stage, '--job', join(folder, 'job.json')], {
    stdin: 'ignore',
    stdout: { file: spool },
    stderr: 'ignore',
  });
  const seconds = (performance.now() - start) / 1000;
  return { seconds, spool: await readFile(spool, 'utf8') };
}
