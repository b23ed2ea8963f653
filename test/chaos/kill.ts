/** kill -9 of one part of Tiller, or of all of them at once. */
import type { Db } from '../../db/connection.ts';
import { openLaunches } from '../../db/launches.ts';
import { isAlive, readProcesses } from '../../db/processes.ts';

export const TARGETS = ['trainer', 'worker', 'engine', 'dashboard', 'all'] as const;
export type Target = (typeof TARGETS)[number];

export interface Killed {
  role: string;
  pid: number;
}

/** @returns what was alive and is no more */
export async function kill(db: Db, run: string, target: Target): Promise<Killed[]> {
  const trainers = openLaunches(db, run).map(({ pid, process_start: start }) => ({
    role: 'trainer',
    pid,
    start,
  }));
  const parts = [
    ...readProcesses(db).map(({ role, pid, process_start: start }) => ({ role, pid, start })),
    ...trainers,
  ];
  // The supervisor first: it would bring the others back before they are all gone.
  const order = (role: string) => (role === 'supervisor' ? 0 : 1);
  const chosen = parts
    .filter(({ role }) => target === 'all' || role === target)
    .sort((a, b) => order(a.role) - order(b.role));
  const killed: Killed[] = [];
  for (const { role, pid, start } of chosen) {
    if (pid === null || start === null || !isAlive(pid, start)) continue;
    process.kill(pid, 'SIGKILL');
    killed.push({ role, pid });
  }
  return killed;
}

export const tell = (killed: readonly Killed[]): string =>
  killed.length > 2
    ? `${killed.length} processes`
    : killed.map(({ role, pid }) => `${role} ${pid}`).join(', ');
