/** Waits in the queue until the run has the device: by priority, then by who came first. */
import { Context } from '@temporalio/activity';
import { claimDevice } from '../../db/devices.ts';
import { getRun, setRunState } from '../../db/runs.ts';
import type { Deps } from '../deps.ts';

const POLL_MS = 250;

export const createWaitForDevice =
  ({ db }: Deps) =>
  async (runId: string): Promise<void> => {
    const context = Context.current();
    const { device, priority } = getRun(db, runId);
    while (!claimDevice(db, device, runId, priority)) {
      if (getRun(db, runId).state !== 'waiting') setRunState(db, runId, 'waiting');
      await context.sleep(POLL_MS);
    }
  };
