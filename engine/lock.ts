import Database from 'better-sqlite3';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs a job that only one process on the machine may run at a time. The lock is SQLite's own on a
 * file: the system drops it when its holder dies, so it is never left behind.
 */
export async function withLock<Result>(
  file: string,
  job: () => Promise<Result>,
  { signal, onWait }: { signal?: AbortSignal | undefined; onWait?: () => void } = {},
): Promise<Result> {
  await mkdir(dirname(file), { recursive: true });
  const lock = new Database(file, { timeout: 0 });
  try {
    for (let tries = 0; !take(lock); tries++) {
      if (tries === 0) onWait?.();
      await sleep(200, undefined, signal === undefined ? {} : { signal });
    }
    return await job();
  } finally {
    lock.close();
  }
}

function take(lock: Database.Database): boolean {
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'SQLITE_BUSY') return false;
    throw error;
  }
}
