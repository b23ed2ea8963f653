/** What the workflow notes in the record about what people asked for. */
import { releaseDevice } from '../../db/devices.ts';
import {
  acknowledgeRequest,
  finishRequest,
  openRequests,
  refuseRequest,
} from '../../db/requests.ts';
import { getRun, setRunState, updateRun } from '../../db/runs.ts';
import { epochCheckpoint } from '../../db/checkpoints.ts';
import type { Deps } from '../deps.ts';

export type Verb = 'pause' | 'resume' | 'stop' | 'save' | 'sample';
export type After = 'step' | 'epoch';

export interface RunRequest {
  /** id of the row in `request` */
  id: string;
  verb: Verb;
  /** pause and stop: at once (after the step under way), or after the epoch and its evaluation */
  after: After;
}

export interface Ending {
  state: 'done' | 'stopped' | 'failed';
  reason?: string;
  code?: string;
}

/** The workflow took the request: from now on a follower may take it to the trainer. */
export const createAcknowledge =
  ({ db }: Deps) =>
  async (runId: string, { id, verb, after }: RunRequest): Promise<void> => {
    acknowledgeRequest(db, id);
    const reason = `after this ${after}`;
    if (verb === 'pause') setRunState(db, runId, 'pausing', { reason });
    if (verb === 'stop') setRunState(db, runId, 'stopping', { reason });
  };

export const createMarkPaused =
  ({ db }: Deps) =>
  async (runId: string): Promise<void> => {
    setRunState(db, runId, 'paused');
    releaseDevice(db, runId);
    finishAll(db, runId, ['pause']);
  };

export const createMarkResumed =
  ({ db }: Deps) =>
  async (runId: string): Promise<void> => {
    setRunState(db, runId, 'waiting');
    finishAll(db, runId, ['resume']);
  };

export const createFinishRun =
  ({ db }: Deps) =>
  async (runId: string, { state, reason, code }: Ending): Promise<void> => {
    const { epochs } = getRun(db, runId);
    setRunState(db, runId, state, {
      ...(reason === undefined ? {} : { reason }),
      ...(code === undefined ? {} : { code }),
    });
    updateRun(db, runId, {
      ended_at: Date.now(),
      final_checkpoint: state === 'done' ? (epochCheckpoint(db, runId, epochs)?.id ?? null) : null,
    });
    releaseDevice(db, runId);
    finishAll(db, runId, ['stop']);
    for (const { id } of openRequests(db, runId)) refuseRequest(db, id, `the run is ${state}`);
  };

function finishAll(db: Deps['db'], run: string, verbs: readonly string[]): void {
  for (const { id, verb } of openRequests(db, run)) if (verbs.includes(verb)) finishRequest(db, id);
}
