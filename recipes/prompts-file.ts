/** Prompts in a file, a line each, as kohya's trainer has them: `a barn --n night --w 512 --d 7`. */
import { readFileSync } from 'node:fs';
import type { Problem } from './problem.ts';
import { MAX_PROMPTS, type Prompt, promptSchema, type Recipe } from './schema.ts';

const PATH = ['samples', 'prompts_file'];
const FLAGS: Readonly<Record<string, 'negative' | 'width' | 'height' | 'seed'>> = {
  n: 'negative',
  w: 'width',
  h: 'height',
  d: 'seed',
};
/** Of the sampler: one for all prompts here. Accepted, as the file is another program's too. */
const OF_SAMPLER = new Set(['s', 'l', 'g', 'ss', 'fs', 'cn', 'ctr']);

/** The recipe with the prompts of its file after its own. */
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
  const prompts: Prompt[] = [...samples.prompts];
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim();
    if (words === '' || words.startsWith('#')) continue;
    const read = promptOf(words);
    if (typeof read === 'string') return refuse(`line ${index + 1} of ${path}: ${read}`, ADVICE);
    prompts.push(read);
  }
  if (prompts.length > MAX_PROMPTS) {
    return refuse(`${prompts.length} prompts in all`, `At most ${MAX_PROMPTS} are sampled.`);
  }
  return { recipe: { ...recipe, samples: { ...samples, prompts } } };
}

const ADVICE = 'Known: --n negative, --w width, --h height, --d seed.';

/** @returns what is wrong, where it is no prompt */
function promptOf(line: string): Prompt | string {
  const [text = '', ...options] = line.split(/\s+--(?=[a-z]+(?:\s|$))/);
  const prompt: Record<string, unknown> = { text: text.trim() };
  for (const option of options) {
    const [, flag = '', value = ''] = /^([a-z]+)\s*(.*)$/s.exec(option) ?? [];
    if (OF_SAMPLER.has(flag)) continue;
    const key = Object.hasOwn(FLAGS, flag) ? FLAGS[flag]! : undefined;
    if (key === undefined) return `--${flag} is unknown`;
    prompt[key] = key === 'negative' ? value.trim() : Number(value);
  }
  const parsed = promptSchema.safeParse(prompt);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return `${issue!.path.join('.')} ${issue!.message}`;
}
