import { type Command, InvalidArgumentError } from 'commander';
import { whyNotEdited } from '../db/edit-prompts.ts';
import { activePrompts, type PromptRow } from '../db/prompts.ts';
import { findRun, recipeOf } from '../db/runs.ts';
import { checkPrompt } from '../recipes/check-prompt.ts';
import { TillerError } from '../recipes/errors.ts';
import { MAX_PROMPTS } from '../recipes/schema.ts';
import { type CommonOptions, readingOptions, withRecord } from './context.ts';
import { print, printJson, table } from './output.ts';
import { request } from './requests.ts';

interface Options extends CommonOptions {
  add?: string;
  drop?: number;
  negative?: string;
  seed?: number;
  size?: { width: number; height: number };
  json?: boolean;
}

export const promptsCommand = (program: Command): Command =>
  readingOptions(program.command('prompts'))
    .argument('<run>', 'a run by name or id')
    .option('--add <text>', 'sample this prompt from the next evaluation on')
    .option('--negative <text>', 'with --add: what guidance leads away from')
    .option('--seed <n>', 'with --add: the seed of the noise (default: 7)', parseNumber)
    .option('--size <size>', "with --add: such as 96x64 (default: the data set's)", parseSize)
    .option('--drop <n>', 'sample prompt n no longer; with --add, change it', parseNumber)
    .description('list what a run is sampled with, or change it while the run goes on')
    .action(async (name: string, options: Options) => {
      const { add, drop, json } = options;
      if (add !== undefined || drop !== undefined) await edit(name, options);
      const prompts = await withRecord(options, ({ db }) =>
        activePrompts(db, findRun(db, name).id),
      );
      if (json === true) return printJson(prompts.map(promptJson));
      if (prompts.length === 0) return print('no prompts: nothing is sampled');
      print(
        table(
          ['n', 'prompt', 'without', 'seed', 'size'],
          prompts.map((prompt) => [
            String(prompt.position),
            prompt.text,
            prompt.negative,
            String(prompt.seed),
            sizeOf(prompt),
          ]),
        ),
      );
    });

async function edit(
  name: string,
  { add, drop, negative, seed, size, ...common }: Options,
): Promise<void> {
  const change = await withRecord(common, ({ db }) => {
    const run = findRun(db, name);
    const given = { text: add, negative, seed, ...size };
    const said = Object.fromEntries(Object.entries(given).filter(([, word]) => word !== undefined));
    const edited = {
      ...(add === undefined ? {} : { add: checkPrompt(recipeOf(run), said) }),
      ...(drop === undefined ? {} : { drop }),
    };
    const why = whyNotEdited(db, run.id, edited, MAX_PROMPTS);
    if (why === undefined) return edited;
    throw new TillerError('REQUEST_REFUSED', `Run ${run.name} can't change its prompts: ${why}`, {
      hint: `\`tiller prompts ${run.name}\` lists them.`,
    });
  });
  await request(name, 'prompts', { ...common, edit: change });
}

const sizeOf = ({ width, height }: PromptRow): string =>
  width === null && height === null ? "the data set's" : `${width ?? '–'}×${height ?? '–'}`;

const promptJson = ({ position, text, negative, seed, width, height }: PromptRow) => ({
  position,
  text,
  negative,
  seed,
  width,
  height,
});

function parseNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('Give an integer, 0 or more.');
  return Number(text);
}

function parseSize(text: string): { width: number; height: number } {
  const [, width, height] = /^(\d{1,5})[x×](\d{1,5})$/.exec(text) ?? [];
  if (width === undefined) throw new InvalidArgumentError('Write it as WIDTHxHEIGHT, as in 96x64.');
  return { width: Number(width), height: Number(height) };
}
