/** One setting under another trainer's name, and where it is written. */
import type { Problem } from '../problem.ts';
import type { Path } from '../shape.ts';

export interface Source {
  /** The file's name, for messages; undefined where there is none. */
  file: string | undefined;
  /** Of what stands at a path; counted from 1. */
  lineOf: (path: Path, atKey: boolean) => number | undefined;
}

export interface Setting {
  name: string;
  value: unknown;
  path: Path;
  source: Source;
}

/** A setting that has been understood: the value of a key of ours. */
export interface Assignment {
  to: Path;
  value: unknown;
  from: Setting;
  /** What the user is told instead of "NAME is KEY here". */
  note?: string;
}

/** A problem with a setting as it is written. */
export interface SettingProblem extends Problem {
  source: Source;
}

export const wrong = (
  { path, name, source }: Setting,
  what: string,
  advice: string,
): SettingProblem => ({ path, subject: name, what, advice, atKey: true, source });

/** In other trainers' files an empty value stands for "not given". */
export const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (Array.isArray(value) && value.length === 0);

/** What switches a setting off, whatever it does. */
export const isOff = (value: unknown): boolean =>
  isEmpty(value) ||
  value === false ||
  Number(value) === 0 ||
  /^(none|no|false|off)$/i.test(String(value));

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
