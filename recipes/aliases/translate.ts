/**
 * A document in any of the languages that are understood becomes one in ours: every setting under
 * our name, with where it was written, and what the user is told about it.
 */
import { isDeepStrictEqual } from 'node:util';
import { quoted } from '../problem.ts';
import { type Path, shapeAt } from '../shape.ts';
import { getIn, setIn } from '../tree.ts';
import { combine } from './combine.ts';
import { gather, type Gathered } from './gather.ts';
import { refused } from './refused.ts';
import {
  type Assignment,
  isOff,
  type Setting,
  type SettingProblem,
  type Source,
  wrong,
} from './setting.ts';
import { Settings } from './settings.ts';
import { aliases } from './table.ts';
import { unused } from './unused.ts';
import { numeric } from './values.ts';

export interface Translation {
  value: Record<string, unknown>;
  /** Where our keys come from that are written under another name, by their dotted path. */
  origins: Map<string, Setting>;
  problems: SettingProblem[];
  notes: string[];
}

export interface TranslateOptions {
  /** Files that this one names. */
  more?: readonly { document: Record<string, unknown>; source: Source }[];
  /** It is no file, but something that is set in one. */
  isPart?: boolean;
}

export function translate(
  document: Record<string, unknown>,
  source: Source,
  { more = [], isPart = false }: TranslateOptions = {},
): Translation {
  const found = gather(document, source);
  const gathered = isPart ? { ...found, foreign: false } : found;
  const others = more.map((other) => gather(other.document, other.source));
  const all = [...gathered.settings, ...others.flatMap(({ settings }) => settings)];
  const settings = new Settings(all, gathered.foreign);
  settings.problems.push(...[gathered, ...others].flatMap(({ problems }) => problems));
  combine(settings);
  for (const setting of settings.rest()) understand(setting, settings);
  const value = structuredClone(gathered.own);
  const origins = new Map<string, Setting>();
  for (const assignment of settings.assignments) {
    put(value, assignment, origins, source, settings.problems);
  }
  const notes = [...notesOf(settings), ...(isPart ? [] : architecture(value, gathered, origins))];
  return { value, origins, problems: settings.problems, notes };
}

function understand(setting: Setting, settings: Settings): void {
  const { name, value } = setting;
  const alias = aliases.get(name);
  if (alias !== undefined) {
    const { to, convert = (given: unknown) => given, note } = alias;
    const type = shapeAt(to.split('.'))?.type;
    const isNumber = type === 'number' || type === 'integer';
    const number = isNumber ? numeric(value) : value;
    settings.assign(to, convert(number), setting, note?.(name, value));
    return;
  }
  const why = unused.get(name);
  if (why !== undefined) return void settings.unneeded.push({ name, why });
  const known = refused.get(name);
  if (isOff(value)) return void settings.unneeded.push({ name, why: 'it is off' });
  if (known?.fine.includes(String(value)) === true) {
    return void settings.unneeded.push({ name, why: 'it is what is done here' });
  }
  settings.problems.push(
    known === undefined
      ? wrong(setting, 'unknown here', 'Leave it out if it does not matter.')
      : wrong(setting, `${quoted(value)} is not something that Tiller does`, known.advice),
  );
}

function put(
  document: Record<string, unknown>,
  { to, value, from }: Assignment,
  origins: Map<string, Setting>,
  source: Source,
  problems: SettingProblem[],
): void {
  const before = getIn(document, to);
  const key = to.join('.');
  if (before === undefined) {
    setIn(document, to, value);
    origins.set(key, from);
    return;
  }
  if (isDeepStrictEqual(before, value)) return;
  const other = origins.get(key);
  const line = (other?.source ?? source).lineOf(other?.path ?? to, true);
  const place = line === undefined ? '' : ` at line ${line}`;
  const written = `${quoted(before)} by ${other?.name ?? key}${place}`;
  problems.push(wrong(from, `${quoted(value)} for ${key}, which is ${written}`, 'Say it once.'));
}

/** One line for each name, and one for all that change nothing for the same reason. */
function notesOf({ assignments, unneeded }: Settings): string[] {
  const told = assignments
    .filter(({ to, from }) => from.name !== to.at(-1) || from.path.join('.') !== to.join('.'))
    .map(({ to, from, value, note }) => note ?? plainNote(to, from, value));
  const reasons = new Map<string, string[]>();
  for (const { name, why } of unneeded) reasons.set(why, [...(reasons.get(why) ?? []), name]);
  const rest = [...reasons].map(([why, names]) => `not used: ${names.join(', ')} (${why})`);
  return [...new Set([...told, ...rest])];
}

function plainNote(to: Path, from: Setting, value: unknown): string {
  const same = isDeepStrictEqual(numeric(from.value), value) || Array.isArray(value);
  return same
    ? `${from.name} is ${to.join('.')} here`
    : `${from.name}: ${quoted(from.value)} is ${to.join('.')}: ${quoted(value)} here`;
}

/** Whoever names a base in another trainer's words means a Stable Diffusion checkpoint. */
function architecture(
  document: Record<string, unknown>,
  { foreign }: Gathered,
  origins: Map<string, Setting>,
): string[] {
  const given = getIn(document, ['model', 'architecture']);
  if (given !== undefined || !(foreign || origins.has('base'))) return [];
  setIn(document, ['model', 'architecture'], 'sd1');
  return ['model.architecture is sd1: the file is in the words of a trainer of Stable Diffusion'];
}
