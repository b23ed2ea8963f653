/** What the workflow notes in the record about what people asked for. */
import { immediate } from '../../db/connection.ts';
import { releaseDevice } from '../../db/devices.ts';
import { editPrompts } from '../../db/edit-prompts.ts';
import { extendRun } from '../../db/extend.ts';
import {
  acknowledgeRequest,
  finishRequest,
  getRequest,
  openRequests,
  refuseRequest,
} from '../../db/requests.ts';
import { getRun, setRunState, updateRun } from '../../db/runs.ts';
import { epochCheckpoint } from '../../db/checkpoints.ts';
import { forgetWanted, wantSample } from '../../db/wanted.ts';
import type { Deps } from '../deps.ts';

export type Verb =
  'pause' | 'resume' | 'stop' | 'save' | 'sample' | 'extend' | 'delete' | 'prompts' | 'make';
export type After = 'now' | 'step' | 'epoch';

export interface RunRequest {
  /** id of the row in `request` */
  id: string;
  verb: Verb;
  /**
   * pause and stop: after the step under way, or after the epoch and its evaluation. stop: `now` ends
   * the trainer without a save; what it trained since its last checkpoint is trained again by `resume`
   */
  after: After;
}

export interface Ending {
  state: 'done' | 'stopped' | 'failed';
  reason?: string;
  code?: string;
  /** ms since 1970; left out: now */
  endedAt?: number;
  /** why what is still asked of it is refused; left out: that it has ended */
  refusal?: string | undefined;
}

/** The workflow took the request: from now on a follower may take it to the trainer. */
export const createAcknowledge = ({ db }: Deps) =>
  atOnce(db, (runId: string, { id, verb, after }: RunRequest) => {
    acknowledgeRequest(db, id);
    const reason = after === 'now' ? 'at once' : `after this ${after}`;
    if (verb === 'pause') setRunState(db, runId, 'pausing', { reason });
    if (verb === 'stop') setRunState(db, runId, 'stopping', { reason });
    if (verb === 'extend') extendRun(db, id);
    if (verb === 'prompts') editPrompts(db, id);
    if (verb === 'make') wantSample(db, getRequest(db, id));
  });

export const createMarkPaused = ({ db }: Deps) =>
  atOnce(db, (runId: string) => {
    setRunState(db, runId, 'paused');
    releaseDevice(db, runId);
    finishAll(db, runId, ['pause']);
  });

export const createMarkResumed = ({ db }: Deps) =>
  atOnce(db, (runId: string) => {
    setRunState(db, runId, 'waiting');
    finishAll(db, runId, ['resume']);
  });

export const createFinishRun = ({ db }: Deps) =>
  atOnce(db, (runId: string, { state, reason, code, endedAt = Date.now(), refusal }: Ending) => {
    const { epochs } = getRun(db, runId);
    setRunState(db, runId, state, {
      ...(reason === undefined ? {} : { reason }),
      ...(code === undefined ? {} : { code }),
    });
    updateRun(db, runId, {
      ended_at: endedAt,
      final_checkpoint: state === 'done' ? (epochCheckpoint(db, runId, epochs)?.id ?? null) : null,
    });
    releaseDevice(db, runId);
    finishAll(db, runId, ['stop']);
    forgetWanted(db, runId);
    for (const { id } of openRequests(db, runId)) {
      refuseRequest(db, id, refusal ?? `the run is ${state}`);
    }
  });

/** All of it or nothing: who sees a run's new state sees all that comes with it. */
const atOnce =
  <Args extends unknown[]>(db: Deps['db'], note: (...args: Args) => void) =>
  async (...args: Args): Promise<void> =>
    immediate(db, () => note(...args));

function finishAll(db: Deps['db'], run: string, verbs: readonly string[]): void {
  for (const { id, verb } of openRequests(db, run)) if (verbs.includes(verb)) finishRequest(db, id);
}
