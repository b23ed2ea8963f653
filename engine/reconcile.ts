/**
 * Brings engine and record together when a worker starts: a run that the record calls unfinished and
 * that the engine does not know (its database was lost, or it never heard of it) is started again.
 */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Db } from '../db/connection.ts';
import { appendEvent } from '../db/events.ts';
import { isEnded, listRuns } from '../db/runs.ts';
import { startRun } from './client.ts';
import { workflowIdOf } from './names.ts';

export async function reconcileRuns(db: Db, client: Client, log: Logger): Promise<void> {
  for (const { id, name, state } of listRuns(db)) {
    if (isEnded(state) || (await isRunning(client, id))) continue;
    log.info({ run: id, name }, 'the engine does not know this run: starting it from the record');
    if (state !== 'queued') {
      appendEvent(db, {
        run: id,
        kind: 'restarted',
        message: 'the engine had lost the run: started again from the record',
      });
    }
    await startRun(client, id);
  }
}

async function isRunning(client: Client, run: string): Promise<boolean> {
  try {
    const { status } = await client.workflow.getHandle(workflowIdOf(run)).describe();
    return status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
