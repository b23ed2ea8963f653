import { describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { delayOf, type Healthy, keep } from '../../engine/keeper.ts';
import type { Exit } from '../../engine/start.ts';

/** A process that ends when told. */
function fakeProcess(): Healthy & { end(exit: Exit): void; stops: number[] } {
  const exited = Promise.withResolvers<Exit>();
  const stops: number[] = [];
  return {
    pid: 1,
    exited: exited.promise,
    end: exited.resolve,
    stops,
    answers: async () => true,
    async stop({ within }) {
      stops.push(within);
      exited.resolve({ code: 0, signal: null });
    },
  };
}

async function until(met: () => boolean): Promise<void> {
  for (const end = Date.now() + 30_000; !met() && Date.now() < end;) await sleep(10);
}

const ended = { code: 1, signal: null };

describe('a keeper', () => {
  test('starts again at once, then ever later', () => {
    expect([1, 2, 3, 4, 5, 20].map(delayOf)).toEqual([0, 250, 500, 1000, 2000, 30_000]);
  });

  test('starts again what ends, and stops it when asked', async () => {
    const processes = [fakeProcess(), fakeProcess()];
    const downs: [string, number][] = [];
    const keeper = keep({
      launch: async (restarts) => processes[restarts]!,
      onDown: (why, delay) => downs.push([why, delay]),
    });
    await keeper.ready;
    processes[0]!.end({ code: null, signal: 'SIGKILL' });
    await until(() => keeper.pid() !== undefined && downs.length > 0);
    expect(downs).toEqual([['it ended with SIGKILL', 0]]);
    await keeper.stop({ within: 7 });
    expect(processes[1]!.stops).toEqual([7]);
    expect(keeper.pid()).toBeUndefined();
  });

  test('waits longer each time for what ends soon after it was healthy', async () => {
    const delays: number[] = [];
    const keeper = keep({
      launch: async () => {
        const process = fakeProcess();
        process.end(ended);
        return process;
      },
      onDown: (_why, delay) => delays.push(delay),
    });
    await until(() => delays.length >= 4);
    await keeper.stop({ within: 0 });
    expect(delays.slice(0, 4)).toEqual([0, 250, 500, 1000]);
  });

  test('gives up what was never healthy, at the third failure', async () => {
    let launches = 0;
    const keeper = keep({
      launch: async () => {
        launches += 1;
        throw new Error('no');
      },
      onDown: () => {},
    });
    await expect(keeper.ready).rejects.toThrow('no');
    expect(launches).toBe(3);
  });

  test('gives up at once where no second try helps', async () => {
    let launches = 0;
    const keeper = keep({
      launch: async () => {
        launches += 1;
        throw new Error('never');
      },
      onDown: () => {},
      isFinal: () => true,
    });
    await expect(keeper.ready).rejects.toThrow('never');
    expect(launches).toBe(1);
  });

  test('never gives up what was healthy once', async () => {
    const process = fakeProcess();
    const downs: string[] = [];
    const keeper = keep({
      launch: async (restarts) => {
        if (restarts > 0) throw new Error('gone bad');
        return process;
      },
      onDown: (why) => downs.push(why),
      isFinal: () => true,
    });
    await keeper.ready;
    process.end(ended);
    await until(() => downs.length >= 3);
    expect(downs.slice(0, 3)).toEqual(['it ended with 1', 'Error: gone bad', 'Error: gone bad']);
    await keeper.stop({ within: 0 });
  });

  test('kills what does not answer, and only then starts another', async () => {
    const silent = { ...fakeProcess(), answers: async () => false };
    const begun: number[] = [];
    const downs: string[] = [];
    const keeper = keep({
      launch: async (restarts) => {
        begun.push(silent.stops.length);
        return restarts === 0 ? silent : fakeProcess();
      },
      onDown: (why) => downs.push(why),
      patience: { everyMs: 10, times: 3 },
    });
    await until(() => begun.length === 2);
    await keeper.stop({ within: 0 });
    expect(downs).toEqual(['it did not answer for 0.03 s and was killed']);
    expect(silent.stops).toEqual([0]);
    expect(begun).toEqual([0, 1]);
  });

  test('that is stopped during a start stops what comes of it', async () => {
    const process = fakeProcess();
    const started = Promise.withResolvers<Healthy>();
    const keeper = keep({ launch: () => started.promise, onDown: () => {} });
    keeper.ready.catch(() => {});
    const stopped = keeper.stop({ within: 1 });
    started.resolve(process);
    await stopped;
    expect(process.stops).toHaveLength(1);
  });
});
