import type { Db } from '../db/connection.ts';
import { epochsForPage, type ListedRun, runForPage, type ShownEpoch } from '../db/pages.ts';
import { findRun } from '../db/runs.ts';
import { TillerError } from '../recipes/errors.ts';

/** Errors: RUN_NOT_FOUND, with the nearest name. */
export function findListedRun(db: Db, nameOrId: string): ListedRun {
  const { id } = findRun(db, nameOrId);
  const run = runForPage(db, id);
  if (run === undefined) throw new TillerError('INTERNAL', `run ${id} has no row`);
  return run;
}

/** Errors: EPOCH_NOT_FOUND, with the epochs that there are. */
export function findEpoch(db: Db, run: ListedRun, epoch: number): ShownEpoch {
  const epochs = epochsForPage(db, run.id);
  const found = epochs.find((row) => row.epoch === epoch);
  if (found !== undefined) return found;
  const [first, last] = [epochs[0]?.epoch, epochs.at(-1)?.epoch];
  const hint =
    first === undefined || last === undefined
      ? 'It has no epochs yet.'
      : `It has ${first} to ${last}.`;
  throw new TillerError('EPOCH_NOT_FOUND', `Run ${run.name} has no epoch ${epoch}`, { hint });
}
