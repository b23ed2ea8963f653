/** Has a run deleted by the worker: only it may write so much, and it finishes what is cut off. */
import {
  ApplicationFailure,
  type Client,
  WorkflowFailedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
} from '@temporalio/client';
import { TillerError } from '../recipes/errors.ts';
import type { deleteRun as workflow } from '../workflows/delete-run.ts';
import { TASK_QUEUE } from './names.ts';

/** Returns when it is gone. Errors: REQUEST_REFUSED with the worker's reason. */
export async function deleteRun(client: Client, run: string): Promise<void> {
  try {
    await client.workflow.execute<typeof workflow>('deleteRun', {
      workflowId: `delete-${run}`,
      taskQueue: TASK_QUEUE,
      args: [run],
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    });
  } catch (error) {
    const reason = error instanceof WorkflowFailedError ? error.cause?.cause : undefined;
    if (!(reason instanceof ApplicationFailure) || reason.type !== 'REQUEST_REFUSED') throw error;
    throw new TillerError('REQUEST_REFUSED', reason.message, { cause: error });
  }
}
