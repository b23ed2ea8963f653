/** `tiller up` as a process of its own, as a person would start it. */
import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { migrate } from '../../db/migrate.ts';
import { isAlive, readProcesses } from '../../db/processes.ts';
import { sleep } from '../../activities/training/trainer-process.ts';

const front = join(import.meta.dirname, '..', '..', 'cli', 'tiller.ts');
const PATIENCE_MS = 600_000;

export interface Started {
  /** when the process was started, ms since 1970 */
  at: number;
  /** waits until worker and dashboard are healthy */
  ready(): Promise<void>;
  /** as Ctrl-C does; waits until all is stopped */
  stop(): Promise<void>;
}

export async function startUp(home: string, env: NodeJS.ProcessEnv): Promise<Started> {
  await mkdir(home, { recursive: true });
  migrate(homePaths(home).record);
  const file = join(home, 'up.log');
  const log = openSync(file, 'a');
  // With the log in it: the home is often gone before a person can look.
  const fail = (what: string): never => {
    throw new Error(`tiller up ${what}; it said:\n${readFileSync(file, 'utf8')}`);
  };
  const at = Date.now();
  const child = spawn(process.execPath, [front, 'up', '--port', '0'], {
    env,
    stdio: ['ignore', log, log],
  });
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
  });
  return {
    at,
    async ready() {
      for (const end = Date.now() + PATIENCE_MS; !healthy(home, child.pid ?? 0); await sleep(50)) {
        if (child.exitCode !== null) fail(`ended with ${child.exitCode}`);
        if (Date.now() > end) fail('is not ready');
      }
    },
    async stop() {
      child.kill('SIGINT');
      await exited;
    },
  };
}

function healthy(home: string, supervisor: number): boolean {
  const db = openRecord(homePaths(home).record);
  try {
    const rows = readProcesses(db);
    if (rows.find(({ role }) => role === 'supervisor')?.pid !== supervisor) return false;
    return ['engine', 'worker', 'dashboard'].every((role) =>
      rows.some(
        (row) =>
          row.role === role && row.state === 'healthy' && isAlive(row.pid, row.process_start),
      ),
    );
  } finally {
    db.close();
  }
}
