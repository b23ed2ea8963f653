/** Whether a run can go on beyond the epochs of its recipe. */
import { MAX_STEPS } from './crosscheck.ts';
import type { Recipe } from './schema.ts';

const MAX_EPOCHS = 100_000;

/**
 * The reason why not, as the end of a sentence about the run. With a constant learning rate no step
 * depends on how many follow, so that what is trained then is what a longer recipe would have trained.
 * @param epochs in all
 */
export function whyNotExtended(
  { train }: Recipe,
  epochs: number,
  stepsPerEpoch: number,
): string | undefined {
  if (train.schedule !== 'constant') {
    return `its learning rate falls to nothing by epoch ${train.epochs} (train.schedule: ${train.schedule}), and another end would have been another way there; start a new run with more epochs`;
  }
  if (epochs > MAX_EPOCHS) return `${epochs} epochs in all are more than ${MAX_EPOCHS}`;
  if (epochs * stepsPerEpoch > MAX_STEPS) {
    return `${epochs} epochs of ${stepsPerEpoch} steps are more than ${MAX_STEPS} steps`;
  }
  return undefined;
}
