/**
 * A trainer as a process of its own: detached, in its own group, its stdout an append-only file and
 * its stdin a FIFO, so that it outlives the worker that started it and the next one can adopt it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { constants, openSync, closeSync, writeSync } from 'node:fs';
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { isAlive, processStart } from '../../db/processes.ts';
import type { Job, TrainerCommand } from '../../native/protocol.ts';
import { TillerError } from '../../recipes/errors.ts';

/** The files of one launch, in its folder. */
export const launchFiles = (folder: string) => ({
  job: join(folder, 'job.json'),
  spool: join(folder, 'spool.jsonl'),
  stderr: join(folder, 'stderr.log'),
  commands: join(folder, 'commands'),
  followed: join(folder, 'followed'),
});

export interface Exit {
  /** null: not known (the trainer was adopted), or ended by a signal */
  code: number | null;
  signal: string | null;
}

export interface Trainer {
  pid: number;
  start: string;
  /** resolves when the process is gone */
  exited: Promise<Exit>;
}

/** Writes the job and starts the program. Errors: TRAINER_NOT_FOUND. */
export async function launchTrainer(
  command: readonly string[],
  stage: Job['stage'],
  folder: string,
  job: Job,
  env: NodeJS.ProcessEnv,
): Promise<Trainer> {
  await mkdir(folder, { recursive: true });
  const files = launchFiles(folder);
  await writeFile(files.job, JSON.stringify(job, undefined, 2));
  await writeFile(files.followed, '');
  await execa('mkfifo', [files.commands]);
  // Read and write, so that the FIFO never ends when a follower goes away.
  const stdin = openSync(files.commands, constants.O_RDWR);
  const stdout = openSync(files.spool, 'a');
  const stderr = openSync(files.stderr, 'a');
  const [program = '', ...rest] = command;
  try {
    // Not execa: the child gets files of its own and must outlive us, so nothing is left to manage.
    const child = spawn(program, [...rest, stage, '--job', files.job], {
      detached: true,
      stdio: [stdin, stdout, stderr],
      env,
      cwd: folder,
    });
    const exited = new Promise<Exit>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    await started(child, program);
    child.unref();
    const pid = child.pid ?? 0;
    return { pid, start: processStart(pid) ?? '', exited };
  } finally {
    for (const descriptor of [stdin, stdout, stderr]) closeSync(descriptor);
  }
}

function started(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => {
      const what = `The trainer ${program} did not start: ${cause.message}`;
      const hint = 'Check trainer.command in the recipe.';
      reject(new TillerError('TRAINER_NOT_FOUND', what, { hint, cause }));
    });
  });
}

/** A trainer that another worker started and that still runs. */
export function adoptTrainer(pid: number, start: string, signal: AbortSignal): Trainer {
  const exited = (async (): Promise<Exit> => {
    while (isAlive(pid, start) && !signal.aborted) await sleep(100);
    return { code: null, signal: null };
  })();
  return { pid, start, exited };
}

/**
 * Looks for a trainer whose pid was never written down, because its worker was killed in between:
 * the job file's path in its command line is its name.
 */
export async function findTrainer(folder: string): Promise<{ pid: number; start: string } | null> {
  const { job } = launchFiles(folder);
  for (const { pid, command } of await processes()) {
    if (!command.includes(job)) continue;
    const start = processStart(pid);
    if (start !== null) return { pid, start };
  }
  return null;
}

async function processes(): Promise<{ pid: number; command: string }[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await execa('ps', ['-axo', 'pid=,command=']);
    return stdout.split('\n').map((line) => {
      const [, pid, command] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
      return { pid: Number(pid), command: command ?? '' };
    });
  }
  const found: { pid: number; command: string }[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      found.push({ pid: Number(name), command: await readFile(`/proc/${name}/cmdline`, 'utf8') });
    } catch (error) {
      // It ended meanwhile; anything else is a fault of ours.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ESRCH') throw error;
    }
  }
  return found;
}

/** Writes one command into the trainer's FIFO. Returns false when nobody can read it any more. */
export function sendCommand(folder: string, command: TrainerCommand): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(launchFiles(folder).commands, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENXIO' || code === 'ENOENT') return false;
    throw error;
  }
  try {
    writeSync(descriptor, `${JSON.stringify(command)}\n`);
    return true;
  } finally {
    closeSync(descriptor);
  }
}

/** Tells the trainer that it is followed. Without this it saves and leaves after a while. */
export async function touchFollowed(folder: string): Promise<void> {
  const now = new Date();
  await utimes(launchFiles(folder).followed, now, now);
}

/** Ends a trainer for good: it is fenced already, this only frees the device. */
export function killTrainer(pid: number, start: string): void {
  if (!isAlive(pid, start)) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
