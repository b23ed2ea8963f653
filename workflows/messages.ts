/** What a person may ask of a run. Each is a Temporal Update: the caller learns the outcome. */
import { defineUpdate } from '@temporalio/workflow';
import type { After, Ending, RunRequest } from '../activities/run/requests.ts';

export const requestUpdate = defineUpdate<void, [RunRequest]>('request');

/** Where the run is to go: set by requests, read between stages. */
export type Wish = { go: true } | { go: false; verb: 'pause' | 'stop'; after: After };

export interface TrainRunInput {
  run: string;
  /** carried over by continue-as-new */
  wish?: Wish;
  /** for a run at rest: only what is wanted of its epochs is made, then it rests as before */
  ending?: Ending;
  /** epochs of one workflow execution; left out: 100, long before the limits of a history */
  epochsAHistory?: number;
}
