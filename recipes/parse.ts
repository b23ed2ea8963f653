/** Text to recipe: everything that is wrong is found in one go, each with its place. */
import type { Setting, SettingProblem, Source } from './aliases/setting.ts';
import { translate } from './aliases/translate.ts';
import { crosscheck } from './crosscheck.ts';
import { explain } from './explain.ts';
import { recipeHash } from './hash.ts';
import { applyOverride, type Override, readOverride } from './overrides.ts';
import { withAbsolutePaths } from './paths.ts';
import { dotted, type Problem, RecipeError } from './problem.ts';
import { readDocument } from './read-document.ts';
import { readNamedFiles } from './named-files.ts';
import { readPromptsFile } from './prompts-file.ts';
import { type Recipe, recipeSchema } from './schema.ts';
import type { Path } from './shape.ts';

export interface ParseOptions {
  /** Relative paths in the recipe start here: the recipe's own folder. */
  folder: string;
  /** `key=value` with a dotted key: what `--set` was given. */
  set?: readonly string[];
  /** The file's name, for messages; one that ends in .toml is TOML. */
  file?: string;
}

export interface ParsedRecipe {
  recipe: Recipe;
  hash: string;
  /** What was read under another trainer's name, or not used, a line each. */
  notes: string[];
}

export function parseRecipe(text: string, { folder, set = [], file }: ParseOptions): ParsedRecipe {
  const given = set.map(readOverride);
  const overrides = given.flatMap((one) => one.overrides);
  const { value: document, source } = readDocument(text, file);
  const named = readNamedFiles(document, source, folder);
  const written = translate(document, source, { more: named.documents });
  const misplaced = overrides.flatMap((override) => applyOverride(written.value, override));
  const result = recipeSchema.safeParse(written.value);
  const places: Places = { source, origins: written.origins, overrides };
  const misread = [...named.problems, ...written.problems].map(describeSetting);
  const problems = [
    ...misplaced,
    ...(result.success
      ? crosscheck(result.data)
      : result.error.issues.flatMap((issue) => explain(issue, written.value))),
  ];
  if (!result.success || misread.length + problems.length > 0) {
    throw new RecipeError([...misread, ...problems.map((problem) => describe(problem, places))]);
  }
  const absolute = withAbsolutePaths(result.data, folder);
  const prompted = readPromptsFile(absolute);
  const more = 'problems' in prompted ? prompted.problems : crosscheck(prompted.recipe);
  if ('problems' in prompted || more.length > 0) {
    throw new RecipeError(more.map((problem) => describe(problem, places)));
  }
  const notes = [...written.notes, ...given.flatMap((one) => one.notes)];
  return { recipe: prompted.recipe, hash: recipeHash(prompted.recipe), notes };
}

interface Places {
  source: Source;
  origins: ReadonlyMap<string, Setting>;
  overrides: readonly Override[];
}

const describe = (
  { path, subject, what, advice, atKey = false }: Problem,
  places: Places,
): string => {
  const given = places.overrides.find(({ path: set }) => isPrefix(set, path));
  const from = given === undefined ? originOf(path, places.origins) : undefined;
  const name = subject ?? dotted(path);
  const where =
    given !== undefined
      ? ` (--set ${given.text})`
      : from === undefined
        ? placeOf(places.source, path, atKey)
        : placeOf(from.source, [...from.path, ...from.rest], from.rest.length === 0);
  return sentence(
    from === undefined ? name : `${name} (${from.name} as written)`,
    what,
    where,
    advice,
  );
};

const describeSetting = ({ path, subject, what, advice, source }: SettingProblem): string =>
  sentence(subject ?? dotted(path), what, placeOf(source, path, true), advice);

const sentence = (name: string, what: string, where: string, advice: string | undefined): string =>
  `${name}: ${what}${where}.${advice === undefined || advice === '' ? '' : ` ${advice}`}`;

const isPrefix = (start: Path, path: Path): boolean =>
  start.every((key, at) => String(key) === String(path[at]));

/** The setting under another name that a key, or what it lies in, was read from. */
function originOf(path: Path, origins: Places['origins']): (Setting & { rest: Path }) | undefined {
  for (let length = path.length; length > 0; length--) {
    const from = origins.get(path.slice(0, length).join('.'));
    if (from !== undefined) return { ...from, rest: path.slice(length) };
  }
  return undefined;
}

/** ` (line 12)` or ` (demo.yaml, line 12)`; empty where nothing is written. */
function placeOf({ file, lineOf }: Source, path: Path, atKey: boolean): string {
  const line = lineOf(path, atKey);
  const parts = [
    ...(file === undefined ? [] : [file]),
    ...(line === undefined ? [] : [`line ${line}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}
