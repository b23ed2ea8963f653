import { existsSync, type Dirent } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Db } from '../db/connection.ts';
import { homePaths } from '../db/home.ts';
import { isAlive, processStart, readProcesses, removeProcess, type Role } from '../db/processes.ts';
import { signalGroup } from './start.ts';

/** How long a worker or dashboard of a dead `up` may take to leave by itself. */
const LEAVE_MS = 1_000;
/** Trainers outlive a dead `up` and write below runs/: only what is older than this is nobody's. */
const OLD_MS = 3600 * 1000;

/**
 * Puts right what an `up` left that was killed: its processes are ended and its half-written files
 * removed. The trainers stay: the worker adopts them. Returns what was done, a sentence each.
 * Only for the holder of the supervisor's row.
 */
export async function putRight(db: Db, home: string): Promise<string[]> {
  const paths = homePaths(home);
  const processes = await endProcesses(db, paths.engine);
  return [...processes, ...(await removeHalfFiles(home, paths.runs))];
}

async function endProcesses(db: Db, databaseFile: string): Promise<string[]> {
  const done: string[] = [];
  const ending: Promise<unknown>[] = [];
  for (const { role, pid, process_start: start } of readProcesses(db)) {
    if (role === 'supervisor') continue;
    if (isAlive(pid, start)) {
      done.push(`ended the ${role} of an earlier \`tiller up\` (process ${pid})`);
      ending.push(endProcess(pid, start, role === 'engine' ? 0 : LEAVE_MS));
    }
    removeProcess(db, role as Role);
  }
  await Promise.all(ending);
  // Started a moment before its `up` was killed, so that it was never written down.
  for (const pid of await enginesOn(databaseFile)) {
    done.push(`ended an engine that nobody kept (process ${pid})`);
    await endProcess(pid, processStart(pid) ?? '', 0);
  }
  return done;
}

/** The engine's file survives SIGKILL, and waiting for a clean end would only cost time. */
async function endProcess(pid: number, start: string, leaveMs: number): Promise<void> {
  if (leaveMs > 0) signalGroup(pid, 'SIGTERM');
  for (const end = Date.now() + leaveMs; Date.now() < end && isAlive(pid, start);) await sleep(20);
  while (isAlive(pid, start)) {
    signalGroup(pid, 'SIGKILL');
    await sleep(20);
  }
}

/** The pids of servers that have this file open, by their command line. */
async function enginesOn(databaseFile: string): Promise<number[]> {
  const isOurs = (command: string[]): boolean =>
    command.includes('start-dev') && command.includes(databaseFile);
  if (existsSync('/proc/self/cmdline')) {
    const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
    const commands = await Promise.all(
      pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')), // gone, or not ours
    );
    return pids.filter((_pid, index) => isOurs(commands[index]!.split('\0')));
  }
  const { stdout } = await execa('ps', ['-axo', 'pid=,args=']);
  return stdout
    .split('\n')
    .filter((line) => line.includes('start-dev') && line.includes(databaseFile))
    .map((line) => Number.parseInt(line, 10));
}

async function removeHalfFiles(root: string, runs: string): Promise<string[]> {
  const done: string[] = [];
  for (const entry of await entriesOf(root)) {
    const path = join(entry.parentPath, entry.name);
    const half = /\.(tmp|partial)$/.test(entry.name) && entry.isFile();
    if (!half && !entry.isSocket()) continue;
    if (path.startsWith(join(runs, '/')) && !(await isOld(path))) continue;
    await rm(path, { force: true });
    done.push(`removed ${half ? 'a half-written file' : 'a stale socket'}: ${path}`);
  }
  return done;
}

async function entriesOf(root: string): Promise<Dirent[]> {
  return existsSync(root) ? readdir(root, { recursive: true, withFileTypes: true }) : [];
}

async function isOld(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity })); // its writer took it
  return mtimeMs < Date.now() - OLD_MS;
}
