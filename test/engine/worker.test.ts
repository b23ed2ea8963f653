import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { homePaths } from '../../db/home.ts';
import { migrate } from '../../db/migrate.ts';

test('a worker tells its supervisor that it lives, and leaves with it', async () => {
  const home = mkdtempSync(join(tmpdir(), 'tiller-worker-'));
  migrate(homePaths(home).record);
  const program = resolve(import.meta.dirname, '../../engine/worker-main.ts');
  const worker = spawn(process.execPath, [program], {
    // An engine that is not there: this test is over before the worker gives up on it.
    env: { ...process.env, TILLER_HOME: home, TEMPORAL_ADDRESS: '127.0.0.1:1' },
    stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(worker, 'exit');
  const first = await Promise.race([once(worker, 'message'), exited]);
  expect(first).toEqual(['alive', undefined]);
  worker.stdin!.end();
  expect(await exited).toEqual([0, null]);
  rmSync(home, { recursive: true });
});
