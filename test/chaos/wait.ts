import type { Db } from '../../db/connection.ts';
import { getRun, isEnded } from '../../db/runs.ts';
import { sleep } from '../../activities/training/trainer-process.ts';

const PATIENCE_MS = 120_000;

/** The newest trainer process of a run; 0 before the first. */
export const newestLaunch = (db: Db, run: string): number =>
  db.raw
    .prepare<[string], { id: number }>(
      'SELECT coalesce(max(id), 0) AS id FROM launch WHERE run = ?',
    )
    .get(run)?.id ?? 0;

/** Whether a trainer that was started behind `launch` has made a step. */
const steppedSince = (db: Db, run: string, launch: number): boolean =>
  db.raw
    .prepare('SELECT 1 FROM launch WHERE run = ? AND id > ? AND last_step IS NOT NULL')
    .get(run, launch) !== undefined;

/**
 * Seconds from `since` until a step that was made after it is in the record.
 * @param dead the launch whose trainer was killed: what it had said before is still taken in after its
 *   death, and counts for nothing; undefined when the trainer was left alive
 */
export async function untilNextStep(
  db: Db,
  run: string,
  since: number,
  dead: number | undefined,
): Promise<number> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(10)) {
    const { last_step_at: at, state, state_reason: reason } = getRun(db, run);
    if (state === 'failed') throw new Error(`the run failed: ${reason}`);
    const made = dead === undefined ? (at ?? 0) > since : steppedSince(db, run, dead);
    // After the last epoch there is no next step.
    if (made || state === 'done') return (Date.now() - since) / 1000;
  }
  throw new Error(`no step within ${PATIENCE_MS / 1000} s of a kill`);
}

export async function untilEnded(db: Db, run: string): Promise<void> {
  for (;;) {
    const { state, state_reason: reason } = getRun(db, run);
    if (state === 'done') return;
    if (isEnded(state)) throw new Error(`the run is ${state}: ${reason}`);
    await sleep(100);
  }
}
