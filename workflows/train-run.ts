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
import { long, quick } from './activities.ts';
import { Helm } from './helm.ts';
import type { TrainRunInput } from './messages.ts';

const EPOCHS_A_HISTORY = 100;

export async function trainRun(input: TrainRunInput): Promise<void> {
  const { run, wish } = input;
  const helm = new Helm(wish ?? { go: true }, (request) => quick.acknowledge(run, request));
  try {
    const ending = await sail(input, helm);
    helm.stage = 'ended';
    await quick.finishRun(run, ending);
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    helm.stage = 'ended';
    await CancellationScope.nonCancellable(() => quick.finishRun(run, endingOf(error)));
    // A failed run is an ordinary ending of the workflow: the record says why.
    if (isCancellation(error)) throw error;
  }
  await condition(allHandlersFinished);
}

async function sail(input: TrainRunInput, helm: Helm): Promise<{ state: 'done' | 'stopped' }> {
  const { run, epochsAHistory = EPOCHS_A_HISTORY } = input;
  await long.preflight(run);
  await long.prepareData(run);
  let position = await quick.position(run);
  for (let epochs = 0; ;) {
    if (position.stage === 'finished') {
      helm.stage = 'exporting';
      // One that was taken while the position was looked up: the record has its epochs by now.
      await condition(allHandlersFinished);
      if (!helm.tookExtension()) break;
      position = await quick.position(run);
      continue;
    }
    if (helm.holds && (await hold(run, helm)) === 'stop') return { state: 'stopped' };

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
      await continueAsNew<typeof trainRun>({ ...input, wish: helm.wish });
    }
  }
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

function endingOf(error: unknown): { state: 'stopped' | 'failed'; reason: string; code?: string } {
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
