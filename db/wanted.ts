/** Samples that somebody wants of an epoch that was evaluated without them. */
import { and, eq } from './drizzle.ts';
import { epochCheckpoint } from './checkpoints.ts';
import { immediate, type Db } from './connection.ts';
import { leased, type Lease } from './leases.ts';
import { findEpoch } from './epochs.ts';
import { listSamples } from './samples.ts';
import { promptId, promptsOf, unsampled } from './prompts.ts';
import { acknowledgeRequest, finishRequest, openRequests, refuseRequest } from './requests.ts';
import { epoch as table, type request as requestTable } from './schema.ts';

export interface WantedSample {
  epoch: number;
  /** the prompt's position */
  prompt: number;
}

/** Positions of the prompts, ascending; none in an epoch that nobody wants more of. */
export const wantedOf = ({ wanted }: { wanted: string | null }): number[] =>
  wanted === null ? [] : (JSON.parse(wanted) as number[]);

/** Of an epoch that is evaluated those that are wanted; else those that its evaluation has not made yet. */
export function promptsToSample(db: Db, run: string, epoch: number): number[] {
  const row = findEpoch(db, run, epoch);
  return row?.state === 'evaluated' ? wantedOf(row) : unsampled(db, run, epoch);
}

/** The reason why not, as the end of a sentence about the run. */
export function whyNotMade(
  db: Db,
  run: string,
  { epoch, prompt }: WantedSample,
): string | undefined {
  const row = findEpoch(db, run, epoch);
  if (row === undefined || row.state === 'training') return `epoch ${epoch} is not trained yet`;
  if (row.state !== 'evaluated') return `epoch ${epoch} is about to be evaluated`;
  if (!promptsOf(db, run).some(({ position }) => position === prompt)) {
    return `it never had a prompt ${prompt}`;
  }
  if (isMade(db, run, { epoch, prompt })) return 'this sample is there already';
  if (epoch > 0 && epochCheckpoint(db, run, epoch) === undefined) {
    return `the checkpoint of epoch ${epoch} is no longer kept`;
  }
  return undefined;
}

const isMade = (db: Db, run: string, { epoch, prompt }: WantedSample): boolean =>
  listSamples(db, run).some(
    (sample) =>
      sample.epoch === epoch && sample.prompt === promptId(run, prompt) && sample.request === null,
  );

/** Notes what a request wants, once: it is made by the next evaluation of that epoch. */
export function wantSample(db: Db, request: typeof requestTable.$inferSelect): void {
  immediate(db, () => {
    const { run, id, done_at: done, refused } = request;
    if (done !== null || refused !== null) return;
    const { epoch, prompt } = JSON.parse(request.arguments) as WantedSample;
    const row = findEpoch(db, run, epoch);
    if (row === undefined) return refuseRequest(db, id, `there is no epoch ${epoch}`);
    const wanted = [...new Set([...wantedOf(row), prompt])].sort((a, b) => a - b);
    setWanted(db, run, epoch, wanted);
    acknowledgeRequest(db, id);
  });
}

/**
 * After an evaluation for those that were wanted when it began: what it made is done, and what it did
 * not make is refused, so that nobody waits for it.
 * @param why of those that were not made
 */
export function settleWanted(
  db: Db,
  lease: Lease,
  { run, epoch, asked }: { run: string; epoch: number; asked: readonly number[] },
  why: string,
): void {
  leased(db, lease, run, () => {
    const row = findEpoch(db, run, epoch);
    if (row === undefined) return;
    setWanted(
      db,
      run,
      epoch,
      wantedOf(row).filter((prompt) => !asked.includes(prompt)),
    );
    for (const { id, verb, arguments: given } of openRequests(db, run)) {
      if (verb !== 'make') continue;
      const wanted = JSON.parse(given) as WantedSample;
      if (wanted.epoch !== epoch || !asked.includes(wanted.prompt)) continue;
      if (isMade(db, run, wanted)) finishRequest(db, id);
      else refuseRequest(db, id, why);
    }
  });
}

/** Nobody makes them any more. */
export function forgetWanted(db: Db, run: string): void {
  db.orm.update(table).set({ wanted: null }).where(eq(table.run, run)).run();
}

function setWanted(db: Db, run: string, epoch: number, positions: readonly number[]): void {
  db.orm
    .update(table)
    .set({ wanted: positions.length === 0 ? null : JSON.stringify(positions) })
    .where(and(eq(table.run, run), eq(table.epoch, epoch)))
    .run();
}
