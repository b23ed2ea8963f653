/** Starts tiller-diffusion as a program of its own, and reads what it says. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import {
  trainerEvent,
  type Job,
  type TrainerCommand,
  type TrainerEvent,
} from '../../../native/protocol.ts';

export interface Finished {
  code: number | undefined;
  signal: string | undefined;
  events: TrainerEvent[];
  stderr: string;
}

export interface Running {
  process: ReturnType<typeof start>;
  /** what it has said so far */
  events: () => readonly TrainerEvent[];
  send: (command: TrainerCommand | string) => void;
  /** resolves when an event fits, or the process has ended */
  until: (fits: (event: TrainerEvent) => boolean) => Promise<TrainerEvent | undefined>;
  finished: Promise<Finished>;
}

const start = (trainer: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
  execa(trainer, args, { stdin: 'pipe', reject: false, env });
let launches = 0;

/** @param env beside what this process has */
export async function launch(
  trainer: string,
  job: Job,
  env: NodeJS.ProcessEnv = {},
): Promise<Running> {
  const file = join(job.folder, `job-${launches++}.json`);
  await writeFile(file, JSON.stringify(job));
  const child = start(trainer, [job.stage, '--job', file], env);
  const events: TrainerEvent[] = [];
  const waiting = new Set<() => void>();
  let ended = false;
  void (async () => {
    for await (const line of child.iterable()) {
      events.push(trainerEvent.parse(JSON.parse(line as string)));
      for (const wake of waiting) wake();
    }
    ended = true;
    for (const wake of waiting) wake();
  })();
  return {
    process: child,
    events: () => events,
    send: (command) => {
      child.stdin.write(`${typeof command === 'string' ? command : JSON.stringify(command)}\n`);
    },
    until: async (fits) => {
      for (;;) {
        const found = events.find(fits);
        if (found !== undefined || ended) return found;
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
    },
    finished: child.then(({ exitCode, signal, stderr, stdout }) => ({
      code: exitCode,
      signal,
      stderr,
      events: stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => trainerEvent.parse(JSON.parse(line))),
    })),
  };
}

export async function run(trainer: string, job: Job, env?: NodeJS.ProcessEnv): Promise<Finished> {
  return (await launch(trainer, job, env)).finished;
}

export const of = <Name extends TrainerEvent['event']>(
  events: readonly TrainerEvent[],
  name: Name,
): Extract<TrainerEvent, { event: Name }>[] =>
  events.filter((event): event is Extract<TrainerEvent, { event: Name }> => event.event === name);
