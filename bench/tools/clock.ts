/**
 * Seconds that a piece of work takes on a machine that others use too: the time that passes, less the
 * time that this thread was ready to run and had to wait for a core (Linux counts it). What it waits
 * for by itself, the disk above all, stays in. bench/peers/clock.py is the same for the peers.
 */
import { readFileSync } from 'node:fs';

export interface Time {
  seconds: number;
  /** seconds on the wall, waits for a core included */
  wall: number;
}

/** Starts a clock. @returns what reads it */
export function startClock(): () => Time {
  const waited = waitedSeconds();
  const start = performance.now();
  return () => {
    const wall = (performance.now() - start) / 1_000;
    return { wall, seconds: wall - (waitedSeconds() - waited) };
  };
}

/** Of the main thread: the second number, in nanoseconds. 0 where nobody counts it. */
function waitedSeconds(): number {
  if (process.platform !== 'linux') return 0;
  const [, waited] = readFileSync('/proc/self/schedstat', 'latin1').split(' ');
  return Number(waited) / 1e9;
}

export function timed(work: () => unknown): Time {
  const read = startClock();
  work();
  return read();
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
