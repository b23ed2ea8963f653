import { setTimeout as sleep } from 'node:timers/promises';
import { TillerError } from '../recipes/errors.ts';
import type { Exit } from './start.ts';
import { goesSilent, inWords, type Patience, PATIENCE } from './watchdog.ts';

/** A process that is healthy. */
export interface Healthy {
  pid: number;
  exited: Promise<Exit>;
  /** Whether it shows within so many ms that it lives. */
  answers(withinMs: number): Promise<boolean>;
  /** Asks it to end, and ends it when it hasn't after this many ms. */
  stop(options: { within: number }): Promise<unknown>;
}

export interface Keeper {
  /** It was healthy once. Rejects when it could not be started at all: nothing is tried any more. */
  ready: Promise<void>;
  /** Stops it and what would start it again. */
  stop(options: { within: number }): Promise<void>;
  /** The pid of the process, while it is healthy. */
  pid(): number | undefined;
}

export interface KeeperOptions {
  /** Settles when the process is healthy; rejects when it ended before or was given up. */
  launch: (restarts: number, signal: AbortSignal) => Promise<Healthy>;
  /** The process ended, or could not be started; it is started again after a delay in ms. */
  onDown: (why: string, delay: number) => void;
  /** Errors that no second try mends, before it was ever healthy. */
  isFinal?: (error: unknown) => boolean;
  /** With a process that doesn't answer. */
  patience?: Patience | undefined;
}

/** Failed starts before the first success, after which a person is told rather than it is retried. */
const FIRST_TRIES = 3;
/** Healthy for this long: it is not the start that fails. */
const STEADY_MS = 2_000;
const LONGEST_DELAY_MS = 30_000;

/** At once the first time, then ¼ s, ½ s, … up to half a minute. */
export const delayOf = (failures: number): number =>
  failures <= 1 ? 0 : Math.min(125 * 2 ** (failures - 1), LONGEST_DELAY_MS);

/** Keeps one process alive. */
export function keep(options: KeeperOptions): Keeper {
  const { launch, onDown, isFinal = () => false, patience = PATIENCE } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => {}); // whoever awaits `ready` is told; nobody has to
  let current: Healthy | undefined;

  async function run(): Promise<void> {
    let failures = 0;
    let everHealthy = false;
    for (let restarts = 0; !signal.aborted; restarts++) {
      let why: string;
      try {
        current = await launch(restarts, signal);
        if (signal.aborted) return void (await current.stop({ within: 5_000 }));
        const since = Date.now();
        everHealthy = true;
        first.resolve();
        why = await endOf(current, patience);
        if (Date.now() - since >= STEADY_MS) failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (!everHealthy && (isFinal(error) || failures + 1 >= FIRST_TRIES)) {
          first.reject(error);
          return;
        }
        why = error instanceof TillerError ? error.line : String(error);
      } finally {
        current = undefined;
      }
      if (signal.aborted) return;
      failures += 1;
      const delay = delayOf(failures);
      onDown(why, delay);
      await sleep(delay, undefined, { signal }).catch(() => {}); // stopped: the loop ends
    }
  }
  const running = run();

  return {
    ready: first.promise,
    pid: () => current?.pid,
    async stop({ within }) {
      stopping.abort();
      first.reject(new Error('it was stopped'));
      await current?.stop({ within });
      await running;
    },
  };
}

/** Why it ended. One that is silent is killed first: it must not wake up beside its successor. */
async function endOf({ exited, answers, stop }: Healthy, patience: Patience): Promise<string> {
  const ended = new AbortController();
  const exit = exited.finally(() => ended.abort());
  if (await goesSilent(answers, patience, ended.signal)) {
    await stop({ within: 0 });
    return `it did not answer for ${inWords(patience)} and was killed`;
  }
  const { code, signal } = await exit;
  return `it ended with ${signal ?? code}`;
}
