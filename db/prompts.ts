/**
 * What a run is sampled with: the prompts of its recipe, and those that came later. A prompt is never
 * edited: a changed one is a new one, and the old one keeps its pictures.
 */
import { and, asc, eq, isNull } from './drizzle.ts';
import type { Db } from './connection.ts';
import { prompt as table } from './schema.ts';
import { listSamples } from './samples.ts';
import type { Prompt } from '../recipes/schema.ts';

export type PromptRow = typeof table.$inferSelect;

/** What a prompt may say beside text, seed and size. */
export type PromptExtra = Pick<
  Prompt,
  'steps' | 'guidance' | 'picture' | 'strength' | 'mask' | 'outpaint'
>;
const EXTRA = ['steps', 'guidance', 'picture', 'strength', 'mask', 'outpaint'] as const;

/** Of a sample's identity, what a prompt decides. A size that is left out is the data set's. */
export interface NewPrompt extends PromptExtra {
  text: string;
  negative: string;
  seed: number;
  width?: number | undefined;
  height?: number | undefined;
}

/** By its position, which no other prompt of the run ever has. */
export const promptId = (run: string, position: number): string => `${run}-${position}`;

/** All that the run ever had, by position. */
export const promptsOf = (db: Db, run: string): PromptRow[] =>
  db.orm.select().from(table).where(eq(table.run, run)).orderBy(asc(table.position)).all();

/** Those that are sampled after each epoch. */
export const activePrompts = (db: Db, run: string): PromptRow[] =>
  promptsOf(db, run).filter(({ dropped_at: dropped }) => dropped === null);

/** @param createdAt ms since 1970; 0: with the run */
export function addPrompt(
  db: Db,
  run: string,
  prompt: NewPrompt | PromptRow,
  createdAt: number,
): number {
  const position = promptsOf(db, run).length;
  const { text, negative, seed, width = null, height = null } = prompt;
  const extra = 'extra' in prompt ? prompt.extra : writeExtra(prompt as NewPrompt);
  const made = { text, negative, seed, width, height, extra, created_at: createdAt };
  db.orm
    .insert(table)
    .values({ id: promptId(run, position), run, position, ...made })
    .run();
  return position;
}

export const extraOf = ({ extra }: Pick<PromptRow, 'extra'>): PromptExtra =>
  extra === null ? {} : (JSON.parse(extra) as PromptExtra);

export function writeExtra(prompt: PromptExtra): string | null {
  const said = EXTRA.filter((key) => prompt[key] !== undefined).map((key) => [key, prompt[key]]);
  return said.length === 0 ? null : JSON.stringify(Object.fromEntries(said));
}

export function dropPrompt(db: Db, run: string, position: number): void {
  db.orm
    .update(table)
    .set({ dropped_at: Date.now() })
    .where(and(eq(table.id, promptId(run, position)), isNull(table.dropped_at)))
    .run();
}

/** Positions of the prompts that an epoch's evaluation has still to sample. */
export function unsampled(db: Db, run: string, epoch: number): number[] {
  const made = new Set(
    listSamples(db, run)
      .filter((sample) => sample.epoch === epoch && sample.request === null)
      .map(({ prompt }) => prompt),
  );
  return activePrompts(db, run)
    .filter(({ id }) => !made.has(id))
    .map(({ position }) => position);
}
