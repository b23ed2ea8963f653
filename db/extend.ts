/** Moves the end of a run, for a request: once, however often it is carried out. */
import { immediate, type Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { finishRequest, getRequest } from './requests.ts';
import { getRun, setRunState, updateRun } from './runs.ts';

/** A run that was done is queued again; one that stopped or failed waits for someone to resume it. */
export function extendRun(db: Db, request: string): void {
  immediate(db, () => {
    const { run: id, arguments: given, done_at: done, refused } = getRequest(db, request);
    if (done !== null || refused !== null) return;
    const more = (JSON.parse(given) as { epochs: number }).epochs;
    const run = getRun(db, id);
    const epochs = run.epochs + more;
    updateRun(db, id, { epochs, final_checkpoint: null });
    appendEvent(db, {
      run: id,
      kind: 'extended',
      epoch: run.epoch,
      step: run.step,
      message: `${more} more: ends after epoch ${epochs} instead of ${run.epochs}`,
      data: { epochs },
    });
    finishRequest(db, request);
    if (run.state === 'done') setRunState(db, id, 'queued', { reason: `${more} more epochs` });
  });
}
