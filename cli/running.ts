/** Whether Tiller is up on a home, where its dashboard is, and how it is started in the background. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from '../db/connection.ts';
import { homePaths } from '../db/home.ts';
import { isAlive, readProcesses } from '../db/processes.ts';
import { TillerError } from '../recipes/errors.ts';
import type { Context } from './context.ts';

type Role = ReturnType<typeof readProcesses>[number];

const roles = (db: Db): Role[] =>
  readProcesses(db).filter(({ pid, process_start: start }) => isAlive(pid, start));

const roleOf = (db: Db, name: string): Role | undefined =>
  roles(db).find(({ role }) => role === name);

/** The pid of the supervisor; undefined if Tiller is not up. */
export const supervisorPid = (db: Db): number | undefined => roleOf(db, 'supervisor')?.pid;

/** `http://127.0.0.1:7420`; undefined while no dashboard serves. */
export function dashboardUrl(db: Db): string | undefined {
  const { state, address } = roleOf(db, 'dashboard') ?? {};
  return state === 'healthy' && address !== null && address !== undefined
    ? `http://${address}`
    : undefined;
}

export const runUrl = (db: Db, run: string): string | undefined => {
  const url = dashboardUrl(db);
  return url === undefined ? undefined : `${url}/runs/${run}`;
};

export const compareUrl = (db: Db, a: EpochOf, b: EpochOf): string | undefined => {
  const url = dashboardUrl(db);
  const query = `a=${a.run}@${a.epoch}&b=${b.run}@${b.epoch}`;
  return url === undefined ? undefined : `${url}/compare?${query}`;
};

interface EpochOf {
  run: string;
  epoch: number;
}

/** The record shows runs as they were when the last `up` ended. */
export function sayIfDown(db: Db): void {
  if (supervisorPid(db) !== undefined) return;
  process.stderr.write('Tiller is not running: `tiller up` goes on with what is under way.\n');
}

const isReady = (db: Db): boolean =>
  roleOf(db, 'worker')?.state === 'healthy' && dashboardUrl(db) !== undefined;

/** Starts `tiller up` in the background if it is not running, and waits until it serves. */
export async function ensureUp(
  { db, home, env }: Context,
  say: (line: string) => void,
): Promise<void> {
  if (isReady(db)) return;
  if (supervisorPid(db) !== undefined) {
    say('Tiller is starting on this home: waiting for it');
    return untilReady(
      db,
      () => supervisorPid(db) === undefined,
      async () => undefined,
    );
  }
  const { logs } = homePaths(home);
  await mkdir(logs, { recursive: true });
  const log = join(logs, 'up.log');
  const begin = await stat(log).then(
    ({ size }) => size,
    () => 0,
  ); // the first time there is none
  const output = openSync(log, 'a');
  const child = spawn(process.execPath, [resolve(import.meta.dirname, 'tiller.ts'), 'up'], {
    env: { ...env, TILLER_HOME: home },
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.unref();
  let ended: number | null | undefined;
  child.once('exit', (code) => (ended = code));
  say(`starting Tiller in the background (pid ${child.pid}); \`tiller down\` stops it`);
  const read = lineReader(log, begin);
  await untilReady(
    db,
    () => ended !== undefined,
    async () => (await read()).forEach((line) => say(line)),
  );
}

async function untilReady(db: Db, isGone: () => boolean, look: () => Promise<void>): Promise<void> {
  while (!isReady(db)) {
    // Read before it is asked whether it is gone, so that its last words are shown.
    const gone = isGone();
    await look();
    if (gone) {
      throw new TillerError('NOT_UP', 'Tiller ended while it was starting', {
        hint: 'What it said is above; `tiller doctor` says what is missing.',
      });
    }
    await sleep(100);
  }
}

/** Whole lines that were appended since the last call. */
function lineReader(path: string, begin: number): () => Promise<string[]> {
  let position = begin;
  let rest = '';
  return async () => {
    await using file = await open(path);
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(size - position),
      position,
    });
    position += bytesRead;
    const lines = (rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
    rest = lines.pop() ?? '';
    return lines.filter((line) => line !== '');
  };
}
