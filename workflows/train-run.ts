/**
 * One run, from preflight to export: preflight → data → for each epoch { train → evaluate } → export.
 * The record says where the run is, so that a workflow that starts anew goes on from there.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  continueAsNew,
  isCancellation,
  workflowInfo,
} from '@temporalio/workflow';
import type { Ending } from '../activities/run/requests.ts';
import { long, quick } from './activities.ts';
import { Helm } from './helm.ts';
import type { TrainRunInput } from './messages.ts';

const EPOCHS_A_HISTORY = 100;

export async function trainRun(input: TrainRunInput): Promise<void> {
  const { run, wish, ending } = input;
  const helm = new Helm(wish ?? { go: true }, (request) => quick.acknowledge(run, request));
  try {
    const reached = await sail(input, helm);
    helm.stage = 'ended';
    await quick.finishRun(run, reached);
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    helm.stage = 'ended';
    const failed = endingOf(error);
    // A sample that can't be made does not undo what the run came to.
    const rests = ending === undefined ? failed : { ...ending, refusal: failed.reason };
    await CancellationScope.nonCancellable(() => quick.finishRun(run, rests));
    // A failed run is an ordinary ending of the workflow: the record says why.
    if (isCancellation(error)) throw error;
  }
  await condition(allHandlersFinished);
}

async function sail(input: TrainRunInput, helm: Helm): Promise<Ending> {
  const { run, epochsAHistory = EPOCHS_A_HISTORY } = input;
  let { ending } = input;
  await long.preflight(run);
  await long.prepareData(run);
  let position = await quick.position(run);
  for (let epochs = 0; ;) {
    const isAtRest = ending !== undefined && position.wanted !== true;
    if (position.stage === 'finished' || isAtRest) {
      helm.stage = 'exporting';
      // One that was taken while the position was looked up: what it asks for is in the record by now.
      await condition(allHandlersFinished);
      const more = helm.tookMore();
      if (more === undefined) break;
      if (more === 'extend') ending = undefined;
      position = await quick.position(run);
      continue;
    }
    if (helm.holds && (await hold(run, helm)) === 'stop') return ending ?? { state: 'stopped' };

    helm.stage = 'waiting';
    if (!(await helm.interruptibly(() => long.waitForDevice(run)))) continue;

    if (position.stage === 'train') {
      helm.stage = 'training';
      const { finished } = await long.trainEpoch(run, position.epoch);
      if (!finished) continue;
    }
    helm.stage = 'evaluating';
    await long.evaluateEpoch(run, position.epoch);
    position = await quick.position(run);

    epochs += 1;
    if (epochs >= epochsAHistory || workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      const { ending: _, ...rest } = input;
      const rests = ending === undefined ? {} : { ending };
      await continueAsNew<typeof trainRun>({ ...rest, ...rests, wish: helm.wish });
    }
  }
  if (ending !== undefined) return ending;
  await long.exportRun(run);
  return { state: 'done' };
}

/** Paused: the device is free for others until someone resumes or stops the run. */
async function hold(run: string, helm: Helm): Promise<'go' | 'stop'> {
  if (!helm.wish.go && helm.wish.verb === 'pause') {
    helm.stage = 'paused';
    await quick.markPaused(run);
    await helm.untilTold();
    if (helm.wish.go) await quick.markResumed(run);
  }
  return helm.wish.go ? 'go' : 'stop';
}

function endingOf(error: unknown): Ending {
  if (isCancellation(error)) return { state: 'stopped', reason: 'cancelled in the engine' };
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    return {
      state: 'failed',
      reason: cause.message,
      ...(cause.type ? { code: cause.type } : {}),
    };
  }
  return { state: 'failed', reason: cause instanceof Error ? cause.message : String(cause) };
}
