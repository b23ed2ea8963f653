import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { deadAttempts, removeAttempt, saveAttempt } from '../../db/attempts.ts';
import { artifactPath, cacheHome, homePaths, tillerHome } from '../../db/home.ts';
import {
  claimSupervisor,
  isAlive,
  processStart,
  readProcesses,
  removeProcess,
  writeProcess,
} from '../../db/processes.ts';
import { newRecord } from './record.ts';

const children: ChildProcess[] = [];

/** Ends with its test, also if that fails. */
function start(program: string, args: string[]): ChildProcess & { pid: number; stdout: Readable } {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  return child as ChildProcess & { pid: number; stdout: Readable };
}

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'close');
  }
});

const sleeper = () => start(process.execPath, ['-e', 'setInterval(() => {}, 1e6)']);
const mine = processStart(process.pid)!;

async function ended(): Promise<{ pid: number; start: string }> {
  const child = sleeper();
  const { pid } = child;
  const since = processStart(pid)!;
  child.kill('SIGKILL');
  await once(child, 'exit');
  return { pid, start: since };
}

describe('a process', () => {
  test('is alive while it lives, and a reused pid is not taken for it', async () => {
    const child = sleeper();
    const since = processStart(child.pid)!;
    expect(isAlive(child.pid, since)).toBe(true);
    expect(isAlive(child.pid, `${since}1`)).toBe(false);
    expect(isAlive(child.pid, '')).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(child.pid, since)).toBe(false);
    expect(processStart(child.pid)).toBeNull();
  });

  test('whose name holds brackets and blanks is read rightly', async () => {
    const child = start(process.execPath, [
      '-e',
      "process.title = 'a) S (b c'; console.log(); setInterval(() => {}, 1e6)",
    ]);
    await once(child.stdout, 'data');
    expect(processStart(child.pid)).toMatch(/^[0-9a-f-]+:\d+$|^\w{3} /);
  });

  test('that has ended and is not collected yet is not alive', async () => {
    // A shell that turns into something which never waits for its children.
    const parent = start('sh', ['-c', 'sleep 0.05 & echo $!; exec sleep 30']);
    const pid = Number(String((await once(parent.stdout, 'data'))[0]));
    for (const end = Date.now() + 10_000; processStart(pid) !== null && Date.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(processStart(pid)).toBeNull();
  });
});

describe('the processes of `tiller up`', () => {
  test('a row keeps what its process does not say', () => {
    const db = newRecord();
    writeProcess(db, 'worker', {
      pid: 1,
      process_start: 'a',
      address: null,
      state: 'starting',
      restarts: 2,
    });
    writeProcess(db, 'worker', { pid: 1, process_start: 'a', state: 'healthy' });
    expect(readProcesses(db)).toMatchObject([{ role: 'worker', state: 'healthy', restarts: 2 }]);
    removeProcess(db, 'worker');
    expect(readProcesses(db)).toEqual([]);
  });

  test('a second `up` is refused while the first lives, and takes over when it is dead', async () => {
    const db = newRecord();
    const child = sleeper();
    writeProcess(db, 'supervisor', {
      pid: child.pid,
      process_start: processStart(child.pid)!,
      state: 'healthy',
    });
    writeProcess(db, 'dashboard', {
      pid: 1,
      process_start: 'x',
      state: 'healthy',
      address: '127.0.0.1:7420',
    });
    expect(() => claimSupervisor(db)).toThrow(expect.objectContaining({ code: 'ALREADY_UP' }));
    expect(() => claimSupervisor(db)).toThrow(/http:\/\/127\.0\.0\.1:7420/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    claimSupervisor(db);
    claimSupervisor(db);
    expect(readProcesses(db)).toContainEqual(
      expect.objectContaining({ role: 'supervisor', pid: process.pid }),
    );
  });
});

test('attempts of dead owners are found, and only an attempt with its own token is removed', async () => {
  const db = newRecord();
  const dead = await ended();
  saveAttempt(db, {
    activity: 'a',
    token: 'one',
    attempt: 1,
    pid: dead.pid,
    process_start: dead.start,
  });
  saveAttempt(db, {
    activity: 'b',
    token: 'two',
    attempt: 1,
    pid: process.pid,
    process_start: mine,
  });
  expect(deadAttempts(db)).toMatchObject([{ activity: 'a', token: 'one' }]);
  // The next attempt of the same activity.
  saveAttempt(db, {
    activity: 'a',
    token: 'three',
    attempt: 2,
    pid: process.pid,
    process_start: mine,
  });
  removeAttempt(db, 'a', 'one');
  expect(deadAttempts(db)).toEqual([]);
  removeAttempt(db, 'a', 'three');
  expect(db.raw.prepare('SELECT activity FROM attempt').all()).toEqual([{ activity: 'b' }]);
});

test('the home is where the environment says', () => {
  expect(tillerHome({ TILLER_HOME: '/a/b', XDG_DATA_HOME: '/d' })).toBe('/a/b');
  expect(tillerHome({ XDG_DATA_HOME: '/d', HOME: '/h' })).toBe('/d/tiller');
  expect(tillerHome({ XDG_DATA_HOME: 'relative', HOME: '/h' })).toBe('/h/.local/share/tiller');
  expect(cacheHome({ HOME: '/h' })).toBe('/h/.cache/tiller');
  expect(artifactPath('/a', 'ab'.repeat(32))).toBe(
    join(homePaths('/a').artifacts, 'ab', 'ab'.repeat(32)),
  );
});
