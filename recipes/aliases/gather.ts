/**
 * Finds the settings of other trainers in a document. What is left is ours: our sections and keys,
 * and what nobody knows, which the schema names.
 */
import { type Path, recipeShape } from '../shape.ts';
import { fromAiToolkit, isAiToolkit } from './ai-toolkit.ts';
import { fromSubsets, subsetsOf } from './subsets.ts';
import {
  isEmpty,
  isOff,
  isRecord,
  type Setting,
  type SettingProblem,
  type Source,
} from './setting.ts';
import { aliases } from './table.ts';
import { refused } from './refused.ts';
import { unused } from './unused.ts';

export interface Gathered {
  own: Record<string, unknown>;
  settings: Setting[];
  problems: SettingProblem[];
  /** It is another trainer's file as a whole, not a recipe of ours with a name of theirs in it. */
  foreign: boolean;
}

/** What a file of kohya's has. */
const SIGNS = [
  'pretrained_model_name_or_path',
  'train_data_dir',
  'network_module',
  'network_dim',
  'LoRA_type',
  'output_name',
  'datasets',
  'dataset_config',
];
/** What a recipe of ours has, whatever names of theirs are in it. */
const OURS = ['data', 'train', 'lora'];
/** Names that need others to be understood. */
const GROUPED = ['network_args', 'network_kwargs', 'optimizer_params'];
/** Of ai-toolkit's document, beside `config`. */
const EXTRA = new Set(['job', 'meta']);

const isKnownName = (name: string): boolean =>
  aliases.has(name) || unused.has(name) || refused.has(name) || GROUPED.includes(name);

/**
 * Whether it is another trainer's name where it may stand: at the top, or in our section of the key
 * that it means. `samples.seed` is not the seed of the training.
 */
export function isTheirName(path: Path): boolean {
  const [section, name] = path.map(String);
  if (section === undefined || path.length > 2 || isOurs(path)) return false;
  if (name === undefined) return isKnownName(section);
  const alias = aliases.get(name);
  return alias === undefined ? isKnownName(name) : alias.to.startsWith(`${section}.`);
}

export function gather(document: Record<string, unknown>, source: Source): Gathered {
  if (isAiToolkit(document)) {
    const { settings, problems } = fromAiToolkit(document, source);
    const own = Object.fromEntries(
      Object.entries(document).filter(([key]) => key !== 'config' && !EXTRA.has(key)),
    );
    return { own, settings, problems, foreign: true };
  }
  const foreign = isForeign(document);
  const flat = flattened(document, source, foreign);
  const subsets = subsetsOf(document, source);
  const { settings, problems } = fromSubsets(subsets);
  const own = foreign ? withoutEmpty(flat.own) : flat.own;
  return { own, settings: [...flat.settings, ...settings], problems, foreign };
}

function isForeign(document: Record<string, unknown>): boolean {
  const inner = Object.values(document).filter(isRecord).flatMap(Object.keys);
  const names = new Set([...Object.keys(document), ...inner]);
  return SIGNS.some((sign) => names.has(sign)) && !OURS.some((key) => isRecord(document[key]));
}

/** In kohya's files an empty key stands for nothing, whatever it is called. */
const withoutEmpty = (own: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(own).filter(
      ([key, value]) => isOurs([key]) || !(isOff(value) || isEmpty(value)),
    ),
  );

const isOurs = ([key, ...rest]: Path): boolean => {
  const shape = key === undefined ? undefined : recipeShape.properties?.[key];
  if (shape === undefined || rest.length === 0) return shape !== undefined;
  // A union, or a section that may hold anything.
  if (shape.properties === undefined) return true;
  return Object.hasOwn(shape.properties, String(rest[0]));
};

/** Their names at the top, in our sections, and in sections that hold nothing else. */
function flattened(document: Record<string, unknown>, source: Source, foreign: boolean) {
  const own: [string, unknown][] = [];
  const settings: Setting[] = [];
  const take = (name: string, value: unknown, path: Path) =>
    settings.push({ name, value, path, source });
  for (const [key, value] of Object.entries(document)) {
    if (SUBSET_KEYS.has(key)) continue;
    // The same name in both languages: theirs may write a number as text.
    if (foreign && aliases.has(key) && !isRecord(value)) take(key, value, [key]);
    else if (isOurs([key])) {
      if (!isRecord(value) || key === 'settings') own.push([key, value]);
      else {
        const inner = Object.entries(value).filter(([name, entry]) => {
          if (!isTheirName([key, name])) return true;
          take(name, entry, [key, name]);
          return false;
        });
        own.push([key, Object.fromEntries(inner)]);
      }
    } else if (isKnownName(key)) take(key, value, [key]);
    else if (isRecord(value) && Object.keys(value).some(isKnownName)) {
      for (const [name, entry] of Object.entries(value)) take(name, entry, [key, name]);
    } else own.push([key, value]);
  }
  return { own: Object.fromEntries(own), settings };
}

const SUBSET_KEYS = new Set(['general', 'datasets', 'dataset', 'dataset_config']);
