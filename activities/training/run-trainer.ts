/**
 * A trainer's job done to its end, whatever happens to the trainer on the way: the living one is
 * adopted, a dead one's spool is taken in, and a new one starts from the newest good checkpoint.
 * The loop is here and not in the engine's retries, so that it turns while the engine is away.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Context, CancelledFailure } from '@temporalio/activity';
import { markDamaged } from '../../db/checkpoints.ts';
import { appendEvent } from '../../db/events.ts';
import { samplesFolder } from '../../db/doing.ts';
import {
  createLaunch,
  launchEnded,
  launchStarted,
  openLaunches,
  type LaunchRow,
} from '../../db/launches.ts';
import { takeLease, type Lease } from '../../db/leases.ts';
import { stopAsked } from '../../db/requests.ts';
import { getRun, recipeOf, setRunState, type RunRow } from '../../db/runs.ts';
import type { Job } from '../../native/protocol.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Recipe } from '../../recipes/schema.ts';
import type { Deps } from '../deps.ts';
import { dropBallast, layBallast } from '../ballast.ts';
import { isDiskFull, named } from '../failures.ts';
import { quarantine, removeHalfWritten, type CheckpointFolder } from './checkpoints-on-disk.ts';
import { clearPreviews } from './clear-previews.ts';
import { follow } from './follow.ts';
import { buildJob, checkpointsFolder, runFolder } from './job.ts';
import { judge, type Verdict } from './outcome.ts';
import { trainerCommand } from './trainer-command.ts';
import {
  adoptTrainer,
  findTrainer,
  killTrainer,
  launchFiles,
  launchTrainer,
  sleep,
  type Trainer,
} from './trainer-process.ts';

/** A trainer that dies so often without a step or a checkpoint in between has a fault of its own. */
const DEATHS_WITHOUT_PROGRESS = 20;
const CRASHES_WITHOUT_PROGRESS = 3;

export interface TrainerTask {
  stage: Job['stage'];
  epoch: number;
  /** notes the beginning in the record, under the new lease */
  begin: (lease: Lease) => void;
  resume: () => Promise<CheckpointFolder | null>;
}

export async function runTrainer(
  deps: Deps,
  runId: string,
  task: TrainerTask,
): Promise<{ finished: boolean; lease: Lease }> {
  const { db, log } = deps;
  const signals = cancellation();
  let lease: Lease;
  try {
    await layBallast(deps.home);
    lease = takeLease(db, runId, deps.owner);
    task.begin(lease);
    let deaths = 0;
    for (;;) {
      const run = getRun(db, runId);
      const recipe = recipeOf(run);
      const { launch, trainer } =
        (await adopt(deps, run, task, lease, signals.abandon)) ??
        (await start(deps, run, recipe, task, lease));
      const outcome = await follow(deps, { run, recipe, lease, launch, trainer }, signals);
      const asked = stopAsked(db, runId) ?? (signals.stop.aborted ? 'saved' : undefined);
      launchEnded(db, lease, launch.id, outcome);
      await clearPreviews(runFolder(deps.home, runId));
      const verdict = judge(outcome, asked, launchFiles(launch.folder).stderr);
      deaths = outcome.progressed ? 0 : deaths + 1;
      if (verdict.kind === 'finished') {
        await tidy(launch);
        return { finished: true, lease };
      }
      if (signals.stop.aborted) throw new CancelledFailure('stopped at a checkpoint');
      if (verdict.kind === 'stopped') return { finished: false, lease };
      await mend(deps, { run, task, lease }, verdict, deaths);
      log.info({ run: runId, verdict, deaths }, 'starting the trainer again');
    }
  } catch (error) {
    throw explain(deps, runId, error);
  }
}

/** What to do about a trainer that did not finish: returns when it may be started again, else throws. */
async function mend(
  deps: Deps,
  { run, task, lease }: { run: RunRow; task: TrainerTask; lease: Lease },
  verdict: Verdict,
  deaths: number,
): Promise<void> {
  if (verdict.kind === 'interrupted') {
    appendEvent(deps.db, {
      run: run.id,
      kind: 'interrupted',
      epoch: task.epoch,
      message: verdict.why,
    });
    if (deaths >= DEATHS_WITHOUT_PROGRESS) {
      throw new TillerError(
        'TRAINER_BUG',
        `The trainer died ${deaths} times in a row without a step`,
        {
          hint: 'Something on this machine ends it (memory?). See the events of the run.',
        },
      );
    }
    // At once the first times; then more and more slowly.
    await sleep(deaths <= 3 ? 0 : Math.min(10_000, 250 * 2 ** (deaths - 3)));
    return;
  }
  if (verdict.kind !== 'failed') return;
  const { error } = verdict;
  if (error.code === 'CHECKPOINT_CORRUPT') {
    const damaged = await task.resume();
    if (damaged !== null) {
      markDamaged(deps.db, lease, damaged.path);
      await quarantine(damaged.path);
      appendEvent(deps.db, {
        run: run.id,
        kind: 'warning',
        epoch: task.epoch,
        step: damaged.step,
        code: error.code,
        message: `${error.message}: set aside, going on from the one before`,
      });
      return;
    }
  }
  if (error.code === 'TRAINER_BUG' && deaths < CRASHES_WITHOUT_PROGRESS) {
    appendEvent(deps.db, {
      run: run.id,
      kind: 'error',
      epoch: task.epoch,
      code: error.code,
      message: error.line,
    });
    return;
  }
  throw error;
}

/** The trainer that another attempt started, alive or dead; null if there is none. */
async function adopt(
  deps: Deps,
  run: RunRow,
  task: TrainerTask,
  lease: Lease,
  abandon: AbortSignal,
): Promise<{ launch: LaunchRow; trainer: Trainer } | null> {
  for (const launch of openLaunches(deps.db, run.id)) {
    const mine = launch.stage === task.stage && launch.epoch === task.epoch;
    let { pid, process_start: start } = launch;
    if (pid === null || start === null) {
      const found = await findTrainer(launch.folder);
      if (found === null) {
        launchEnded(deps.db, lease, launch.id, null);
        continue;
      }
      ({ pid, start } = found);
      launchStarted(deps.db, lease, launch.id, pid, start);
    }
    if (mine) return { launch, trainer: adoptTrainer(pid, start, abandon) };
    // A stage that is over: its trainer has nothing more to say to this run.
    killTrainer(pid, start);
    launchEnded(deps.db, lease, launch.id, null);
  }
  return null;
}

async function start(
  deps: Deps,
  run: RunRow,
  recipe: Recipe,
  task: TrainerTask,
  lease: Lease,
): Promise<{ launch: LaunchRow; trainer: Trainer }> {
  const checkpoints = checkpointsFolder(deps.home, run.id);
  await mkdir(checkpoints, { recursive: true });
  await mkdir(samplesFolder(runFolder(deps.home, run.id)), { recursive: true });
  await removeHalfWritten(checkpoints);
  await clearPreviews(runFolder(deps.home, run.id));
  const command = await trainerCommand(deps, recipe);
  const name = `e${String(task.epoch).padStart(4, '0')}-${task.stage}-${lease.lease}-${Date.now()}`;
  const folder = join(runFolder(deps.home, run.id), 'launches', name);
  const resume = await task.resume();
  const job = buildJob(deps, run, recipe, { ...task, resume }, folder);
  const launch = createLaunch(deps.db, lease, {
    run: run.id,
    epoch: task.epoch,
    stage: task.stage,
    folder,
  });
  const trainer = await launchTrainer(command, task.stage, folder, job, deps.env);
  launchStarted(deps.db, lease, launch.id, trainer.pid, trainer.start);
  return { launch, trainer };
}

/** The spool is in the record now; the job and the trainer's log stay for whoever wonders. */
async function tidy(launch: LaunchRow): Promise<void> {
  const { spool, commands, followed } = launchFiles(launch.folder);
  for (const file of [spool, commands, followed]) await rm(file, { force: true });
}

/**
 * Cancelled by the workflow, or the worker is leaving: the trainer saves and ends. Anything else (the
 * attempt timed out, or is not known any more) means that a newer attempt follows the trainer.
 */
function cancellation(): { stop: AbortSignal; abandon: AbortSignal } {
  const context = Context.current();
  const stop = new AbortController();
  const abandon = new AbortController();
  const decide = () => {
    const details = context.cancellationDetails;
    if (details?.cancelRequested || details?.workerShutdown) stop.abort();
    else abandon.abort(new CancelledFailure('this attempt is over'));
  };
  if (context.cancellationSignal.aborted) decide();
  else context.cancellationSignal.addEventListener('abort', decide, { once: true });
  return { stop: stop.signal, abandon: abandon.signal };
}

/** Says in the record why the run stands still. */
function explain({ db, log, home }: Deps, runId: string, error: unknown): unknown {
  if (error instanceof CancelledFailure) return error;
  const known = named(error);
  if (!(known instanceof TillerError)) return known;
  if (known.code === 'LEASE_LOST') return known;
  const say = () => setRunState(db, runId, 'interrupted', { reason: known.line, code: known.code });
  try {
    say();
  } catch (cause) {
    log.error({ run: runId, err: cause, code: known.code }, known.line);
    if (!isDiskFull(cause)) throw cause;
    dropBallast(home);
    say();
  }
  return known;
}
