import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from '../db/connection.ts';
import { claimSupervisor, isAlive, readProcesses, removeProcess } from '../db/processes.ts';
import { putRight } from './leftovers.ts';
import { sendSignal } from './start.ts';
import { tellWhatIsAwaited } from './stop.ts';

/**
 * Stops the `up` of a home from another process, at a checkpoint, and waits until it is gone. Where
 * none runs, what a killed one left is ended. Returns whether one ran.
 */
export async function bringDown(
  db: Db,
  home: string,
  say: (line: string) => void,
): Promise<boolean> {
  const up = readProcesses(db).find(({ role }) => role === 'supervisor');
  if (up === undefined || !isAlive(up.pid, up.process_start)) {
    claimSupervisor(db);
    for (const what of await putRight(db, home)) say(what);
    removeProcess(db, 'supervisor');
    return false;
  }
  say(`stopping Tiller (process ${up.pid}) at a checkpoint`);
  sendSignal(up.pid, 'SIGTERM');
  const gone = new AbortController();
  const telling = tellWhatIsAwaited(db, say, gone.signal);
  while (isAlive(up.pid, up.process_start)) await sleep(50);
  gone.abort();
  await telling;
  return true;
}
