/** Notices a process that lives and does nothing: stopped, or caught in a loop. */
import { setTimeout as sleep } from 'node:timers/promises';

/** How often a process is asked, and how many times in a row it may leave that unanswered. */
export interface Patience {
  everyMs: number;
  times: number;
}

export const PATIENCE: Patience = { everyMs: 5_000, times: 6 };

export const inWords = ({ everyMs, times }: Patience): string => `${(everyMs * times) / 1000} s`;

/**
 * True as soon as `answers` was false so many times in a row; false when `ended` is aborted. Only time
 * in which we ran ourselves counts: after a suspended laptop or a stalled machine, counting begins anew.
 */
export async function goesSilent(
  answers: (withinMs: number) => Promise<boolean>,
  { everyMs, times }: Patience,
  ended: AbortSignal,
): Promise<boolean> {
  for (let silent = 0; silent < times;) {
    const [punctual, answered] = await Promise.all([wait(everyMs, ended), answers(everyMs)]);
    if (ended.aborted) return false;
    silent = answered || !punctual ? 0 : silent + 1;
  }
  return true;
}

/** Whether we woke when we meant to, by less than the whole wait again. */
async function wait(ms: number, ended: AbortSignal): Promise<boolean> {
  const begin = Date.now();
  await sleep(ms, undefined, { signal: ended }).catch(() => {}); // it ended: the caller looks
  return Date.now() - begin < 2 * ms;
}
