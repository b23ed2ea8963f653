/**
 * What makes a run go on within seconds of its worker's death: each attempt of an activity writes its
 * task token down; the next worker fails the attempts of dead owners by token, and the engine starts
 * the next ones at once instead of waiting for a heartbeat that never comes.
 */
import type { Client } from '@temporalio/client';
import { ActivityNotFoundError } from '@temporalio/client';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { ApplicationFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import { isDiskFull } from '../activities/failures.ts';
import { deadAttempts, removeAttempt, saveAttempt } from '../db/attempts.ts';
import type { Db } from '../db/connection.ts';
import { processStart } from '../db/processes.ts';

const HEARTBEAT_MS = 1_000;

/** Writes tokens down and keeps the heart beating while an activity runs, however silent it is. */
export const attemptInterceptor =
  (db: Db): ActivityInterceptorsFactory =>
  (context) => ({
    inbound: {
      async execute(input, next) {
        const { workflowExecution, activityId, base64TaskToken, attempt } = context.info;
        const activity = `${workflowExecution?.workflowId}/${workflowExecution?.runId}/${activityId}`;
        saveAttempt(db, {
          activity,
          token: base64TaskToken,
          attempt,
          pid: process.pid,
          process_start: processStart(process.pid) ?? '',
        });
        const heart = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
        try {
          return await next(input);
        } finally {
          clearInterval(heart);
          forget(db, activity, base64TaskToken);
        }
      },
    },
  });

/**
 * With a full disk the row stays, which does no harm: its owner lives, and a stale token is refused. What
 * the activity itself had to say must not be lost over it.
 */
function forget(db: Db, activity: string, token: string): void {
  try {
    removeAttempt(db, activity, token);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** Fails what dead workers had under way. Call before the new worker starts. */
export async function failDeadAttempts(db: Db, client: Client, log: Logger): Promise<number> {
  const dead = deadAttempts(db);
  for (const { activity, token } of dead) {
    try {
      await client.activity.fail(
        Buffer.from(token, 'base64'),
        ApplicationFailure.retryable('its worker died', 'WORKER_DIED'),
      );
    } catch (error) {
      // The engine had given it up already, or was itself started anew.
      if (!(error instanceof ActivityNotFoundError)) throw error;
      log.info({ activity }, 'the engine does not know this attempt any more');
    }
    removeAttempt(db, activity, token);
  }
  return dead.length;
}
