/**
 * What makes a run go on within seconds of its worker's death: each attempt of an activity writes its
 * task token down; the next worker fails the attempts of dead owners by token, and the engine starts
 * the next ones at once instead of waiting for a heartbeat that never comes.
 */
import { hostname } from 'node:os';
import type { Client } from '@temporalio/client';
import { ActivityNotFoundError, WorkflowNotFoundError } from '@temporalio/client';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { ApplicationFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import { isDiskFull } from '../activities/failures.ts';
import { deadAttempts, removeAttempt, saveAttempt } from '../db/attempts.ts';
import type { Db } from '../db/connection.ts';
import { isAlive, processStart } from '../db/processes.ts';
import { isEnded, listRuns } from '../db/runs.ts';
import { workflowIdOf } from './names.ts';

const HEARTBEAT_MS = 1_000;

const WORKER_DIED = () => ApplicationFailure.retryable('its worker died', 'WORKER_DIED');

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
      await client.activity.fail(Buffer.from(token, 'base64'), WORKER_DIED());
    } catch (error) {
      // The engine had given it up already, or was itself started anew.
      if (!(error instanceof ActivityNotFoundError)) throw error;
      log.info({ activity }, 'the engine does not know this attempt any more');
    }
    removeAttempt(db, activity, token);
  }
  return dead.length;
}

/** By this name the engine knows a worker: host, pid and process start. */
export const workerIdentity = (): string =>
  `tiller ${hostname()} ${process.pid} ${processStart(process.pid) ?? ''}`;

/**
 * Fails what the engine had just given to a worker that was killed before it could write the token down.
 * Call after `failDeadAttempts`, and before the new worker starts.
 */
export async function failLostAttempts(db: Db, client: Client, log: Logger): Promise<void> {
  for (const { id, state } of listRuns(db)) {
    if (isEnded(state)) continue;
    const workflowId = workflowIdOf(id);
    for (const { activityId, lastWorkerIdentity } of await pendingActivities(client, workflowId)) {
      if (!activityId || !isDead(lastWorkerIdentity ?? '')) continue;
      log.info({ run: id, activityId, lastWorkerIdentity }, 'given to a worker that is dead');
      try {
        await client.activity.fail({ workflowId, activityId }, WORKER_DIED());
      } catch (error) {
        if (!(error instanceof ActivityNotFoundError)) throw error; // it was not begun, or is over
      }
    }
  }
}

async function pendingActivities(client: Client, workflowId: string) {
  try {
    return (await client.workflow.getHandle(workflowId).describe()).raw.pendingActivities ?? [];
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
}

/** A worker of this host that is no more. */
function isDead(identity: string): boolean {
  const [, host, pid, start] = /^tiller (\S+) (\d+) (.+)$/.exec(identity) ?? [];
  return host === hostname() && start !== undefined && !isAlive(Number(pid), start);
}
