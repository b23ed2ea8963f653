/** Which samples that are not there can be made, and how long that takes. */
import { keptCheckpoints } from '../db/checkpoints.ts';
import type { Db } from '../db/connection.ts';
import type { ListedRun } from '../db/pages.ts';
import { activePrompts, type PromptRow } from '../db/prompts.ts';
import { evaluationSeconds, underWay } from './progress.ts';
import { formatDuration } from './pages/format.ts';

export interface Offer {
  readonly run: string;
  readonly epoch: number;
  /** the prompt's position */
  readonly prompt: number;
  /** of the button: "Make it (about 40 s)" */
  readonly words: string;
}

export interface Offers {
  readonly prompts: readonly PromptRow[];
  /** Undefined where it can't be made. */
  of(epoch: number, prompt: number): Offer | undefined;
}

export const offersOf = (db: Db, run: ListedRun): Offers => {
  const prompts = activePrompts(db, run.id);
  const positions = new Set(prompts.map(({ position }) => position));
  const epochs = new Set([0, ...keptCheckpoints(db, run.id).map(({ epoch }) => epoch)]);
  const seconds = evaluationSeconds(db, run);
  const about = seconds === 0 ? '' : ` (about ${formatDuration(Math.ceil(seconds))})`;
  const words = underWay.has(run.state) ? `Make it after this epoch${about}` : `Make it${about}`;
  return {
    prompts,
    of: (epoch, prompt) =>
      epochs.has(epoch) && epoch <= (run.lastEpoch ?? -1) && positions.has(prompt)
        ? { run: run.id, epoch, prompt, words }
        : undefined,
  };
};
