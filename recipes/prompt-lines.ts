/**
 * Prompts as kohya's sd-scripts read them from a file, one a line:
 *
 *     # a comment
 *     a cat on a sofa, masterpiece --n blurry, low quality --w 512 --h 768 --d 42 --s 28 --l 7.5
 *
 * What follows ` --` and a letter is an option, up to the next one; so a prompt may hold dashes.
 */
import { nearest } from './nearest.ts';
import { quoted, RecipeError } from './problem.ts';
import { MAX_PROMPT_LENGTH, MAX_PROMPTS } from './schema.ts';

/** A prompt of the file; what its line doesn't say is left out. */
export interface PromptLine {
  text: string;
  negative?: string;
  width?: number;
  height?: number;
  seed?: number;
  steps?: number;
  guidance?: number;
}

type NumberKey = 'width' | 'height' | 'seed' | 'steps' | 'guidance';

interface NumberOption {
  key: NumberKey;
  least: number;
  most: number;
  fraction?: true;
}

/** The ranges are those of the recipe's own keys; crosscheck has more to say of width and height. */
const numberOptions = new Map<string, NumberOption>([
  ['w', { key: 'width', least: 8, most: 4096 }],
  ['h', { key: 'height', least: 8, most: 4096 }],
  ['d', { key: 'seed', least: 0, most: 4_294_967_295 }],
  ['s', { key: 'steps', least: 1, most: 1000 }],
  ['l', { key: 'guidance', least: 0, most: 100, fraction: true }],
]);
const optionNames = ['n', ...numberOptions.keys()];

/**
 * Errors: RECIPE_INVALID, with all that is wrong, each with its line.
 * @param file the file's name, for messages
 */
export function parsePromptLines(text: string, file = 'prompts_file'): PromptLine[] {
  const problems: string[] = [];
  const prompts: PromptLine[] = [];
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    const written = line.trim();
    if (written === '' || written.startsWith('#')) continue;
    prompts.push(
      parseLine(written, (what) => problems.push(`${file}, line ${index + 1}: ${what}`)),
    );
  }
  if (prompts.length > MAX_PROMPTS) {
    problems.push(`${file}: ${prompts.length} prompts are too many. At most ${MAX_PROMPTS}.`);
  }
  if (problems.length > 0) throw new RecipeError(problems);
  return prompts;
}

function parseLine(line: string, problem: (what: string) => void): PromptLine {
  const [text = '', ...options] = ` ${line}`.split(/\s--(?=[a-z])/i).map((part) => part.trim());
  const prompt: PromptLine = { text: checkedText('the prompt', text, problem) };
  const seen = new Set<string>();
  for (const option of options) {
    const [, name = '', value = ''] = /^(\S+)\s*([^]*)$/.exec(option) ?? [];
    const short = name.toLowerCase();
    if (!optionNames.includes(short)) problem(unknown(name));
    else if (seen.has(short)) problem(`--${short} is there twice. Keep one.`);
    else if (value === '') problem(`--${short} has no value.`);
    else if (short === 'n') prompt.negative = checkedText('--n', value, problem);
    else assignNumber(prompt, short, value, problem);
    seen.add(short);
  }
  return prompt;
}

function assignNumber(
  prompt: PromptLine,
  name: string,
  value: string,
  problem: (what: string) => void,
): void {
  const { key, least, most, fraction } = numberOptions.get(name)!;
  const number = Number(value);
  const written = fraction ? /^(\d+\.?\d*|\.\d+)$/ : /^\d+$/;
  if (written.test(value) && number >= least && number <= most) prompt[key] = number;
  else {
    const kind = fraction ? 'a number' : 'a whole number';
    problem(`--${name} (${key}) is ${quoted(value)}. It is ${kind} from ${least} to ${most}.`);
  }
}

function checkedText(what: string, text: string, problem: (what: string) => void): string {
  if (text.length > MAX_PROMPT_LENGTH) {
    problem(`${what} has ${text.length} characters. At most ${MAX_PROMPT_LENGTH}.`);
  }
  return text;
}

function unknown(name: string): string {
  const meant = nearest(name, ['negative', 'width', 'height', 'seed', 'steps', 'guidance']);
  const short = meant === undefined ? undefined : shortOf(meant);
  const hint =
    short === undefined ? `There are --${optionNames.join(', --')}.` : `Write --${short}.`;
  return `there is no option --${name}. ${hint}`;
}

const shortOf = (key: string): string =>
  [...numberOptions].find(([, option]) => option.key === key)?.[0] ?? 'n';
