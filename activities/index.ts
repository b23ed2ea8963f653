/** All that a workflow can have done on this machine, each made from what the worker gives it. */
import type { Deps } from './deps.ts';
import { createEvaluateEpoch } from './evaluation/evaluate-epoch.ts';
import { createExportRun } from './export/export-run.ts';
import { toFailure } from './failures.ts';
import { createForgetRun, createSweep } from './run/delete-run.ts';
import { createPosition } from './run/position.ts';
import { createPreflight } from './run/preflight.ts';
import { createPrepareData } from './run/prepare-data.ts';
import {
  createAcknowledge,
  createFinishRun,
  createMarkPaused,
  createMarkResumed,
} from './run/requests.ts';
import { createWaitForDevice } from './run/wait-for-device.ts';
import { createTrainEpoch } from './training/train-epoch.ts';

export const createActivities = (deps: Deps) => ({
  preflight: guarded(createPreflight(deps)),
  prepareData: guarded(createPrepareData(deps)),
  position: guarded(createPosition(deps)),
  waitForDevice: guarded(createWaitForDevice(deps)),
  trainEpoch: guarded(createTrainEpoch(deps)),
  evaluateEpoch: guarded(createEvaluateEpoch(deps)),
  exportRun: guarded(createExportRun(deps)),
  acknowledge: guarded(createAcknowledge(deps)),
  markPaused: guarded(createMarkPaused(deps)),
  markResumed: guarded(createMarkResumed(deps)),
  finishRun: guarded(createFinishRun(deps)),
  forgetRun: guarded(createForgetRun(deps)),
  sweep: guarded(createSweep(deps)),
});

export type Activities = ReturnType<typeof createActivities>;

/** Our errors become failures that the engine can act on. */
const guarded =
  <Args extends unknown[], Result>(activity: (...args: Args) => Promise<Result>) =>
  async (...args: Args): Promise<Result> => {
    try {
      return await activity(...args);
    } catch (error) {
      throw toFailure(error);
    }
  };
