/** What a run's trainer does at the moment: long work, and the sample that it is making. */
import type { Db } from '../db/connection.ts';
import type { Phase, Preview } from '../db/doing.ts';
import { type WorkingTrainer, workingTrainer } from '../db/page-details.ts';
import { isAlive } from '../db/processes.ts';
import { promptsOf } from '../db/prompts.ts';
import { formatCount } from './pages/format.ts';

/** As the page's script takes it from the stream. */
export interface Making {
  /** id of its row in the grid of samples */
  readonly row: string;
  /** position of its prompt */
  readonly prompt: number;
  readonly epoch: number;
  readonly step: number;
  readonly requested: boolean;
  /** "sampling 6 of 20", and where there is little room "6 of 20" */
  readonly words: string;
  readonly short: string;
  readonly alt: string;
  /** its address; null: there is none to show */
  readonly picture: string | null;
}

export const rowId = (epoch: number, step: number, requested: boolean): string =>
  `samples-${epoch}-${step}-${requested ? 'r' : 'e'}`;

/** Without one that died while nobody followed it: what the record has of it is old. */
const living = (trainer: WorkingTrainer | undefined): WorkingTrainer | undefined =>
  trainer?.pid != null && trainer.start !== null && isAlive(trainer.pid, trainer.start)
    ? trainer
    : undefined;

/** "preparing latents 12 of 200"; nothing where nobody says what is done. */
export const doingWords = (db: Db, run: string): string => {
  const trainer = workingTrainer(db, run);
  if (trainer?.progress == null || living(trainer) === undefined) return '';
  const { phase, done, total } = JSON.parse(trainer.progress) as Phase;
  const what = { latents: 'preparing latents', samples: 'sampled' }[phase] ?? phase;
  return total > 0 ? `${what} ${formatCount(done)} of ${formatCount(total)}` : what;
};

/** What names a preview: only a living trainer's newest one is ever shown. */
export const previewOf = (
  db: Db,
  run: string,
): (Preview & { key: string; requested: boolean }) | undefined => {
  const trainer = workingTrainer(db, run);
  if (trainer?.preview == null || living(trainer) === undefined) return undefined;
  const preview = JSON.parse(trainer.preview) as Preview;
  const key = `${trainer.launch}-${preview.epoch}-${preview.prompt}`;
  return { ...preview, key, requested: trainer.stage === 'train' };
};

export const makingOf = (db: Db, run: string): Making | null => {
  const preview = previewOf(db, run);
  if (preview === undefined) return null;
  const { epoch, step, prompt, requested, sampling_step, sampling_steps, picture, key } = preview;
  const row = promptsOf(db, run).find(({ position }) => position === prompt);
  if (row === undefined) return null;
  const short = `${formatCount(sampling_step)} of ${formatCount(sampling_steps)}`;
  return {
    row: rowId(epoch, step, requested),
    prompt,
    epoch,
    step,
    requested,
    words: `sampling ${short}`,
    short,
    alt: `Preview of ${row.text || 'empty prompt'}, epoch ${epoch}`,
    picture: picture === null ? null : `/runs/${run}/previews/${key}?at=${sampling_step}`,
  };
};
