/** Prompts in a file, a line each (prompt-lines.ts). */
import { readFileSync } from 'node:fs';
import type { Problem } from './problem.ts';
import { parsePromptLines } from './prompt-lines.ts';
import { MAX_PROMPTS, type Recipe } from './schema.ts';

const PATH = ['samples', 'prompts_file'];

/** The recipe with the prompts of its file after its own. Errors: RECIPE_INVALID of the file's lines. */
export function readPromptsFile(recipe: Recipe): { recipe: Recipe } | { problems: Problem[] } {
  const { samples } = recipe;
  const { prompts_file: path } = samples;
  if (path === undefined) return { recipe };
  const refuse = (what: string, advice: string) => ({ problems: [{ path: PATH, what, advice }] });
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return refuse(`${path} cannot be read (${code})`, 'A relative path starts at the recipe.');
  }
  const lines = parsePromptLines(text, path).map((line) => ({ negative: '', seed: 7, ...line }));
  const prompts = [...samples.prompts, ...lines];
  if (prompts.length > MAX_PROMPTS) {
    return refuse(`${prompts.length} prompts in all`, `At most ${MAX_PROMPTS} are sampled.`);
  }
  return { recipe: { ...recipe, samples: { ...samples, prompts } } };
}
