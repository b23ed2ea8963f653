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
import type { After, Ending, Verb } from '../activities/run/requests.ts';
import { immediate, type Db } from '../db/connection.ts';
import { editPrompts, type PromptEdit, whyNotEdited } from '../db/edit-prompts.ts';
import { extendRun } from '../db/extend.ts';
import { isForgotten } from '../db/forget.ts';
import { readProcesses } from '../db/processes.ts';
import {
  createRequest,
  finishRequest,
  getRequest,
  refuseRequest,
  type RequestRow,
} from '../db/requests.ts';
import { getRun, isEnded, recipeOf, type RunRow, setRunState } from '../db/runs.ts';
import { wantSample, type WantedSample, whyNotMade } from '../db/wanted.ts';
import { TillerError } from '../recipes/errors.ts';
import { whyNotExtended } from '../recipes/extend.ts';
import { MAX_PROMPTS } from '../recipes/schema.ts';
import type { TrainRunInput } from '../workflows/messages.ts';
import type { trainRun } from '../workflows/train-run.ts';
import { deleteRun } from './delete-run.ts';
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
  const hint =
    outsideEngine(env) === undefined
      ? COMES_BACK
      : 'TEMPORAL_ADDRESS or a Temporal profile names it: check that it runs there, or unset it.';
  const connect = async () => {
    const connection = await Connection.connect(options);
    return new Client({ connection, namespace });
  };
  return reaching(options.address, connect, hint);
}

/** Starts the run's workflow, or leaves the one alone that is running. */
export async function startRun(
  client: Client,
  run: string,
  options: Pick<TrainRunInput, 'epochsAHistory' | 'ending'> = {},
): Promise<void> {
  await reaching('the engine', () =>
    client.withDeadline(Date.now() + DEADLINE_MS, () =>
      client.workflow.start<typeof trainRun>('trainRun', {
        workflowId: workflowIdOf(run),
        taskQueue: TASK_QUEUE,
        args: [{ run, ...options }],
        // One that a worker took with it into its death is given to the next one after so long.
        workflowTaskTimeout: '2s',
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      }),
    ),
  );
}

export interface Asked {
  run: string;
  verb: Verb;
  /** pause and stop; left out: step */
  after?: After;
  /** extend: how many more */
  epochs?: number;
  /** prompts: what comes and what goes */
  edit?: PromptEdit;
  /** make */
  sample?: WantedSample;
}

/**
 * Asks something of a run and waits until it was taken or refused; what came of it is in the row, as
 * it was asked for where the run was deleted. A run that stopped or failed is resumed from its last
 * checkpoint, one that is done goes on when it is extended.
 * Errors: RUN_NOT_FOUND, REQUEST_REFUSED with the run's reason, ENGINE_UNREACHABLE.
 */
export async function sendRequest(client: Client, db: Db, asked: Asked): Promise<RequestRow> {
  const { run, verb } = asked;
  const { name } = getRun(db, run);
  const row = createRequest(db, { run, verb, arguments: argumentsOf(asked) });
  try {
    await reaching('the engine', () =>
      client.withDeadline(Date.now() + DEADLINE_MS, () => carryOut(client, db, asked, row.id)),
    );
  } catch (error) {
    if (verb === 'delete' && isForgotten(db, run)) return row; // its files take longer
    const why = refusal(error);
    refuseRequest(db, row.id, why ?? 'the engine did not answer');
    if (why === undefined) throw error;
    throw new TillerError(
      'REQUEST_REFUSED',
      `Run ${name} can't ${WORDS[verb] ?? verb} now: ${why}`,
      {
        hint: `See \`tiller show ${name}\`.`,
        cause: error,
      },
    );
  }
  return isForgotten(db, run) ? row : getRequest(db, row.id);
}

/** What the request's row keeps. */
function argumentsOf({
  verb,
  after = 'step',
  epochs,
  edit,
  sample,
}: Asked): Record<string, unknown> {
  if (verb === 'extend') return { epochs };
  if (verb === 'prompts') return { ...edit };
  if (verb === 'make') return { ...sample };
  return verb === 'delete' ? {} : { after };
}

const WORDS: Partial<Record<Verb, string>> = {
  extend: 'be extended',
  delete: 'be deleted',
  prompts: 'change its prompts',
  make: 'make this sample',
};

async function carryOut(client: Client, db: Db, asked: Asked, id: string): Promise<void> {
  const { run, verb, after = 'step' } = asked;
  const row = getRun(db, run);
  if (verb === 'delete') return deleteRun(client, run);
  const why = whyNot(db, row, asked);
  if (why !== undefined) throw new TillerError('REQUEST_REFUSED', why);
  if (verb === 'resume' && (row.state === 'stopped' || row.state === 'failed')) {
    await untilClosed(client, run);
    setRunState(db, run, 'queued', { reason: 'resumed' });
    await startRun(client, run);
    finishRequest(db, id);
    return;
  }
  if (verb === 'extend' && isEnded(row.state)) {
    await untilClosed(client, run);
    extendRun(db, id);
    if (row.state === 'done') await startRun(client, run);
    return;
  }
  if (verb === 'prompts' && isEnded(row.state)) return editPrompts(db, id);
  if (verb === 'make' && isEnded(row.state)) {
    await untilClosed(client, run);
    const ending = endingOf(row);
    immediate(db, () => {
      wantSample(db, getRequest(db, id));
      setRunState(db, run, 'queued', { reason: `for a sample of epoch ${asked.sample?.epoch}` });
    });
    return startRun(client, run, { ending });
  }
  await client.workflow
    .getHandle(workflowIdOf(run))
    .executeUpdate(REQUEST_UPDATE, { args: [{ id, verb, after }], updateId: id });
}

/** The reason, as the end of a sentence about the run. */
function whyNot(
  db: Db,
  run: RunRow,
  { verb, epochs = 0, edit, sample }: Asked,
): string | undefined {
  if (verb === 'extend') {
    return whyNotExtended(recipeOf(run), run.epochs + epochs, run.steps_per_epoch ?? 1);
  }
  if (edit !== undefined) return whyNotEdited(db, run.id, edit, MAX_PROMPTS);
  return sample === undefined ? undefined : whyNotMade(db, run.id, sample);
}

/** What a run at rest returns to when its sample is made. */
const endingOf = ({ state, state_reason, state_code, ended_at }: RunRow): Ending => ({
  state: state as Ending['state'],
  ...(state_reason === null ? {} : { reason: state_reason }),
  ...(state_code === null ? {} : { code: state_code }),
  ...(ended_at === null ? {} : { endedAt: ended_at }),
});

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
  if (error instanceof TillerError && error.code === 'REQUEST_REFUSED') return error.message;
  return undefined;
}

const COMES_BACK =
  'If `tiller up` is running it comes back by itself in a few seconds; see `tiller doctor`.';

async function reaching<Result>(
  address: unknown,
  call: () => Promise<Result>,
  hint = COMES_BACK,
): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    if (!isGrpcServiceError(error) && !isConnectionError(error)) throw error;
    throw new TillerError(
      'ENGINE_UNREACHABLE',
      `The engine at ${String(address)} does not answer`,
      { hint, cause: error },
    );
  }
}

const isConnectionError = (error: unknown): boolean =>
  error instanceof Error && /connect|deadline|unavailable/i.test(`${error.name} ${error.message}`);
