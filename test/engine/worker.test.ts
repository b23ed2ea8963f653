import { once } from 'node:events';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, expect, test } from '@jest/globals';
import { homePaths } from '../../db/home.ts';
import { migrate } from '../../db/migrate.ts';

const program = resolve(import.meta.dirname, '../../engine/worker-main.ts');
const home = mkdtempSync(join(tmpdir(), 'tiller-worker-'));
migrate(homePaths(home).record);
afterAll(() => rmSync(home, { recursive: true }));

const worker = (env: NodeJS.ProcessEnv): ChildProcess =>
  spawn(process.execPath, [program], {
    env: { ...process.env, TILLER_HOME: home, ...env },
    stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
  });

test('a worker tells its supervisor that it lives, and leaves with it', async () => {
  // An engine that is not there: this test is over before the worker gives up on it.
  const started = worker({ TEMPORAL_ADDRESS: '127.0.0.1:1' });
  const exited = once(started, 'exit');
  const first = await Promise.race([once(started, 'message'), exited]);
  expect(first).toEqual(['alive', undefined]);
  started.stdin!.end();
  expect(await exited).toEqual([0, null]);
});

test('a worker that cannot begin says why in its last line', async () => {
  const started = worker({ TEMPORAL_CONFIG_FILE: join(home, 'nowhere'), TEMPORAL_PROFILE: 'team' });
  const exited = once(started, 'exit');
  const said = await text(started.stderr!);
  expect(said.trimEnd().split('\n').at(-1)).toMatch(/^Temporal's configuration .* \[USAGE\]$/);
  expect(await exited).toEqual([1, null]);
});
