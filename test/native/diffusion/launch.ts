/** Starts tiller-diffusion as a program of its own, and reads what it says. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa, type ResultPromise } from 'execa';
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
  process: ResultPromise<typeof launchOptions & { env: NodeJS.ProcessEnv }>;
  /** what it has said so far */
  events: () => readonly TrainerEvent[];
  send: (command: TrainerCommand | string) => void;
  /** resolves when an event fits, or the process has ended */
  until: (fits: (event: TrainerEvent) => boolean) => Promise<TrainerEvent | undefined>;
  finished: Promise<Finished>;
}

const launchOptions = { stdin: 'pipe', reject: false } as const;
let launches = 0;

/** @param env beside what this process has */
export async function launch(
  trainer: string,
  job: Job,
  env: NodeJS.ProcessEnv = {},
): Promise<Running> {
  const file = join(job.folder, `job-${launches++}.json`);
  await writeFile(file, JSON.stringify(job));
  const child = execa(trainer, [job.stage, '--job', file], { ...launchOptions, env });
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
