import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from '../db/connection.ts';
import { openLaunches } from '../db/launches.ts';
import { isEnded, listRuns } from '../db/runs.ts';
import type { Keeper } from './keeper.ts';

export interface StopOptions {
  db: Db;
  worker: Keeper | undefined;
  dashboard: Keeper | undefined;
  engine: Keeper | undefined;
  say: (line: string) => void;
  /** How long the trainers may take to save, in ms. */
  saveWithin: number;
}

/**
 * The worker first: it has its trainers save and waits for them. The dashboard next, so that all of
 * that can be watched, and the engine last, since the worker reports to it.
 */
export async function stopInOrder(options: StopOptions): Promise<void> {
  const { db, worker, dashboard, engine, say, saveWithin } = options;
  const stopped = new AbortController();
  const again = (line: string) => say(`${line} (Ctrl-C again ends all at once)`);
  const telling = tellWhatIsAwaited(db, again, stopped.signal);
  await worker?.stop({ within: saveWithin });
  stopped.abort();
  await telling;
  await dashboard?.stop({ within: 5_000 });
  await engine?.stop({ within: 10_000 });
}

/** After a second, and then whenever it changes or every ten seconds. */
export async function tellWhatIsAwaited(
  db: Db,
  say: (line: string) => void,
  stopped: AbortSignal,
): Promise<void> {
  let before = '';
  let saidAt = 0;
  while (true) {
    await sleep(1000, undefined, { signal: stopped }).catch(() => {});
    if (stopped.aborted) return;
    const names = savingRuns(db);
    const what = names.length === 0 ? 'the worker to end' : `${names.join(', ')} to save`;
    if (what === before && Date.now() - saidAt < 10_000) continue;
    say(`waiting for ${what}`);
    before = what;
    saidAt = Date.now();
  }
}

const savingRuns = (db: Db): string[] =>
  listRuns(db)
    .filter(({ id, state }) => !isEnded(state) && openLaunches(db, id).length > 0)
    .map(({ name, step }) => `${name} (step ${step})`);
