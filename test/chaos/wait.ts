import type { Db } from '../../db/connection.ts';
import { getRun, isEnded } from '../../db/runs.ts';
import { sleep } from '../../activities/training/trainer-process.ts';

const PATIENCE_MS = 120_000;

/** Seconds from `since` until a step that was made after it is in the record. */
export async function untilNextStep(db: Db, run: string, since: number): Promise<number> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(20)) {
    const { last_step_at: at, state, state_reason: reason } = getRun(db, run);
    if (state === 'failed') throw new Error(`the run failed: ${reason}`);
    // After an epoch's last step come its samples, and after the last epoch nothing.
    if (at !== null && at > since) return (at - since) / 1000;
    if (state === 'done') return 0;
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
