/** YAML to recipe: everything that is wrong is found in one go, each with its place. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { type Document, isMap, isNode, isPair, LineCounter, parseDocument } from 'yaml';
import { crosscheck } from './crosscheck.ts';
import { TillerError } from './errors.ts';
import { explain } from './explain.ts';
import { recipeHash } from './hash.ts';
import { applyOverride, type Override, readOverride } from './overrides.ts';
import { dotted, type Problem, RecipeError } from './problem.ts';
import { type Recipe, recipeSchema } from './schema.ts';
import type { Path } from './shape.ts';

export interface ParseOptions {
  /** Relative paths in the recipe start here: the recipe's own folder. */
  folder: string;
  /** `key=value` with a dotted key: what `--set` was given. */
  set?: readonly string[];
  /** The file's name, for messages. */
  file?: string;
}

export interface ParsedRecipe {
  recipe: Recipe;
  hash: string;
}

/** Beyond this a file is not a recipe, and aliases in it may be a bomb. */
const MAX_CHARACTERS = 1_000_000;

export function parseRecipe(text: string, { folder, set = [], file }: ParseOptions): ParsedRecipe {
  const overrides = set.map(readOverride);
  const lines = new LineCounter();
  const document = readYaml(text, lines, file);
  const misplaced = overrides.flatMap((override) => applyOverride(document, override));
  const written = toValue(document, file);
  const result = recipeSchema.safeParse(written);
  const problems = [
    ...misplaced,
    ...(result.success
      ? crosscheck(result.data)
      : result.error.issues.flatMap((issue) => explain(issue, written))),
  ];
  if (!result.success || problems.length > 0) {
    const place = placeFinder(document, lines, overrides, file);
    throw new RecipeError(problems.map((problem) => describe(problem, place)));
  }
  const recipe = withAbsolutePaths(result.data, folder);
  return { recipe, hash: recipeHash(recipe) };
}

function readYaml(text: string, lineCounter: LineCounter, file = 'The recipe'): Document {
  if (text.length > MAX_CHARACTERS) {
    throw new TillerError('RECIPE_SYNTAX', `${file} has ${text.length} characters`, {
      hint: `A recipe has at most ${MAX_CHARACTERS}; is this the right file?`,
    });
  }
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [mistake] = [...document.errors, ...document.warnings];
  if (mistake === undefined) return document as Document;
  const { line, col } = lineCounter.linePos(mistake.pos[0]);
  throw new TillerError(
    'RECIPE_SYNTAX',
    `${file} is not valid YAML at line ${line}, column ${col}: ${mistake.message}`,
    { hint: 'Mend that line; indent with spaces, and quote text that holds ": " or " #".' },
  );
}

function toValue(document: Document, file = 'The recipe'): unknown {
  if (document.contents !== null && !isMap(document.contents)) {
    throw new TillerError('RECIPE_SYNTAX', `${file} is not a set of keys and values`, {
      hint: 'See recipes/examples/demo.yaml.',
    });
  }
  try {
    return (document.toJS({ maxAliasCount: 100 }) as unknown) ?? {};
  } catch (error) {
    throw new TillerError('RECIPE_SYNTAX', `${file} cannot be read: ${(error as Error).message}`, {
      hint: 'Write values out instead of using YAML aliases.',
      cause: error,
    });
  }
}

const describe = ({ path, subject, what, advice, atKey = false }: Problem, place: PlaceFinder) =>
  `${subject ?? dotted(path)}: ${what}${place(path, atKey)}.${advice === undefined ? '' : ` ${advice}`}`;

type PlaceFinder = (path: Path, atKey: boolean) => string;

/** ` (line 12)`, ` (demo.yaml, line 12)` or ` (--set train.epochs=0)`; empty where nothing is written. */
function placeFinder(
  document: Document,
  lines: LineCounter,
  overrides: readonly Override[],
  file: string | undefined,
): PlaceFinder {
  return (path, atKey) => {
    const given = overrides.find(({ path: set }) =>
      set.every((key, at) => key === String(path[at])),
    );
    if (given !== undefined) return ` (--set ${given.text})`;
    const start = startOf(document, path, atKey);
    const parts = [
      ...(file === undefined ? [] : [file]),
      ...(start === undefined ? [] : [`line ${lines.linePos(start).line}`]),
    ];
    return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
  };
}

/** Where a key or its value begins; for a missing one, where its section does. */
function startOf(document: Document, path: Path, atKey: boolean): number | undefined {
  if (atKey || document.getIn(path, true) === undefined) {
    const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    const pair = isMap(parent)
      ? parent.items.find((item) => isPair(item) && String(item.key) === String(path.at(-1)))
      : undefined;
    if (pair !== undefined && isNode(pair.key)) return pair.key.range?.[0];
    return path.length > 1 ? startOf(document, path.slice(0, -1), true) : undefined;
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}

function withAbsolutePaths(recipe: Recipe, folder: string): Recipe {
  const { trainer, data, samples } = recipe;
  return {
    ...recipe,
    ...absolute(recipe, ['base', 'vae'], folder),
    trainer:
      typeof trainer === 'string' ? trainer : { command: resolveCommand(trainer.command, folder) },
    ...(data === undefined
      ? {}
      : {
          data: {
            ...data,
            ...absolute(data, ['folder', 'mask_folder', 'regularisation_folder'], folder),
          },
        }),
    samples: { ...samples, ...absolute(samples, ['prompts_file'], folder) },
  };
}

/** Those of the keys that are given, as absolute paths. */
const absolute = <Key extends string>(
  section: { [key in Key]?: string | undefined },
  keys: readonly Key[],
  folder: string,
): { [key in Key]?: string } =>
  Object.fromEntries(
    keys
      .filter((key) => section[key] !== undefined)
      .map((key) => [key, resolvePath(section[key]!, folder)]),
  ) as { [key in Key]?: string };

const resolvePath = (path: string, folder: string): string =>
  path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolve(folder, path);

/** A program named by a path, and arguments that are files beside the recipe. */
const resolveCommand = (command: readonly string[], folder: string): string[] =>
  command.map((word, index) => {
    if (isAbsolute(word) || (index === 0 && !word.includes('/'))) return word;
    const path = resolve(folder, word);
    return index === 0 || existsSync(path) ? path : word;
  });
