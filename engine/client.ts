/** The door to the engine for whoever starts runs or asks something of them. */
import {
  Client,
  Connection,
  isGrpcServiceError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { After, Verb } from '../activities/run/requests.ts';
import type { Db } from '../db/connection.ts';
import { readProcesses } from '../db/processes.ts';
import {
  createRequest,
  finishRequest,
  getRequest,
  refuseRequest,
  type RequestRow,
} from '../db/requests.ts';
import { getRun, setRunState } from '../db/runs.ts';
import { TillerError } from '../recipes/errors.ts';
import type { TrainRunInput } from '../workflows/messages.ts';
import type { trainRun } from '../workflows/train-run.ts';
import { NAMESPACE, REQUEST_UPDATE, TASK_QUEUE, workflowIdOf } from './names.ts';
import { outsideEngine, type OutsideEngine } from './outside.ts';

const DEADLINE_MS = 15_000;

export type EngineAddress = Pick<OutsideEngine, 'connection' | 'namespace'>;

/**
 * Where the engine is: an outside one if the environment names it, else the one that `tiller up` keeps. Errors: NOT_UP.
 */
export function engineAddress(db: Db, env: NodeJS.ProcessEnv): EngineAddress {
  const outside = outsideEngine(env);
  if (outside !== undefined) return outside;
  const address =
    env['TILLER_ENGINE_ADDRESS'] ??
    readProcesses(db).find(({ role }) => role === 'engine')?.address;
  if (address === undefined || address === null) {
    throw new TillerError('NOT_UP', 'Tiller is not running on this home', {
      hint: 'Start it with `tiller up`.',
    });
  }
  return {
    connection: { address },
    namespace: env['TILLER_ENGINE_NAMESPACE'] ?? NAMESPACE,
  };
}

/** Errors: NOT_UP, ENGINE_UNREACHABLE. Close `client.connection` when done. */
export async function connectEngine(db: Db, env: NodeJS.ProcessEnv): Promise<Client> {
  const { connection: options, namespace } = engineAddress(db, env);
  return reaching(options.address, async () => {
    const connection = await Connection.connect(options);
    return new Client({ connection, namespace });
  });
}

/** Starts the run's workflow, or leaves the one alone that is running. */
export async function startRun(
  client: Client,
  run: string,
  options: Pick<TrainRunInput, 'epochsAHistory'> = {},
): Promise<void> {
  await reaching('the engine', () =>
    client.withDeadline(Date.now() + DEADLINE_MS, () =>
      client.workflow.start<typeof trainRun>('trainRun', {
        workflowId: workflowIdOf(run),
        taskQueue: TASK_QUEUE,
        args: [{ run, ...options }],
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      }),
    ),
  );
}

/**
 * Asks something of a run and waits until it was taken or refused; what came of it is in the row.
 * A run that stopped or failed is resumed from its last checkpoint.
 * Errors: REQUEST_REFUSED with the run's reason, ENGINE_UNREACHABLE.
 */
export async function sendRequest(
  client: Client,
  db: Db,
  { run, verb, after = 'step' }: { run: string; verb: Verb; after?: After },
): Promise<RequestRow> {
  const { id } = createRequest(db, { run, verb, arguments: { after } });
  const { state, name } = getRun(db, run);
  if (verb === 'resume' && (state === 'stopped' || state === 'failed')) {
    await reaching('the engine', () =>
      client.withDeadline(Date.now() + DEADLINE_MS, () => untilClosed(client, run)),
    );
    setRunState(db, run, 'queued', { reason: 'resumed' });
    await startRun(client, run);
    finishRequest(db, id);
    return getRequest(db, id);
  }
  try {
    await reaching('the engine', () =>
      client.withDeadline(Date.now() + DEADLINE_MS, () =>
        client.workflow
          .getHandle(workflowIdOf(run))
          .executeUpdate(REQUEST_UPDATE, { args: [{ id, verb, after }], updateId: id }),
      ),
    );
  } catch (error) {
    const why = refusal(error);
    refuseRequest(db, id, why ?? 'the engine did not answer');
    if (why === undefined) throw error;
    throw new TillerError('REQUEST_REFUSED', `Run ${name} can't ${verb} now: ${why}`, {
      hint: `See \`tiller show ${name}\`.`,
      cause: error,
    });
  }
  return getRequest(db, id);
}

/** The record says that a run has ended a moment before its workflow does. */
async function untilClosed(client: Client, run: string): Promise<void> {
  try {
    await client.workflow.getHandle(workflowIdOf(run)).result();
  } catch (error) {
    if (!(error instanceof WorkflowFailedError) && !(error instanceof WorkflowNotFoundError))
      throw error;
  }
}

function refusal(error: unknown): string | undefined {
  if (error instanceof WorkflowUpdateFailedError) return error.cause?.message ?? error.message;
  if (error instanceof WorkflowNotFoundError) return 'the run has ended';
  return undefined;
}

async function reaching<Result>(address: unknown, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    if (!isGrpcServiceError(error) && !isConnectionError(error)) throw error;
    throw new TillerError(
      'ENGINE_UNREACHABLE',
      `The engine at ${String(address)} does not answer`,
      {
        hint: 'If `tiller up` is running it comes back by itself in a few seconds; see `tiller doctor`.',
        cause: error,
      },
    );
  }
}

const isConnectionError = (error: unknown): boolean =>
  error instanceof Error && /connect|deadline|unavailable/i.test(`${error.name} ${error.message}`);
