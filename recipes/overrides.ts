import { parse } from 'yaml';
import { translate } from './aliases/translate.ts';
import { isTheirName } from './aliases/gather.ts';
import { TillerError } from './errors.ts';
import type { Problem } from './problem.ts';
import { shapeAt } from './shape.ts';
import { getIn, setIn } from './tree.ts';

/** `--set key=value`, taken apart. */
export interface Override {
  path: string[];
  value: unknown;
  /** as it was given, cut where it is longer than a line of a message bears */
  text: string;
}

const MAX_SHOWN = 80;

/** Each in our words: one in another trainer's is those that it stands for. */
export function readOverride(given: string): { overrides: Override[]; notes: string[] } {
  const text = given.length > MAX_SHOWN ? `${given.slice(0, MAX_SHOWN)}…` : given;
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(given) ?? [];
  if (key === undefined || value === undefined) {
    throw new TillerError('USAGE', `--set ${text} has no key or no value`, {
      hint: 'Write it as --set train.epochs=3.',
    });
  }
  const path = key.trim().split('.');
  const override = { path, text, value: readValue(path, value, text) };
  return isTheirName(path) ? inOurWords(override) : { overrides: [override], notes: [] };
}

function inOurWords({ path, value, text }: Override): { overrides: Override[]; notes: string[] } {
  const document = {};
  setIn(document, path, value);
  const source = { file: undefined, lineOf: () => undefined };
  const { value: ours, origins, problems, notes } = translate(document, source, { isPart: true });
  const [problem] = problems;
  if (problem !== undefined) {
    const { what, advice: hint } = problem;
    throw new TillerError('USAGE', `--set ${text}: ${what}`, hint === undefined ? {} : { hint });
  }
  const overrides = [...origins.keys()].map((key) => {
    const to = key.split('.');
    return { path: to, value: getIn(ours, to), text };
  });
  return { overrides, notes };
}

function readValue(path: string[], value: string, text: string): unknown {
  // Text is taken as it stands: in YAML "#ffffff" would be a comment.
  if (shapeAt(path)?.type === 'string') return value;
  try {
    return parse(value) as unknown;
  } catch (error) {
    throw new TillerError('USAGE', `The value in --set ${text} is not valid YAML`, {
      hint: 'Quote it, or write a number, true, false or [a, list].',
      cause: error,
    });
  }
}

/** Writes an override into the recipe; says why where it can't. */
export function applyOverride(recipe: object, { path, value }: Override): Problem[] {
  const inTheWay = setIn(recipe, path, value);
  if (inTheWay === undefined) return [];
  const parent = inTheWay.join('.');
  return [{ path, what: `${parent} is a value, not a section`, advice: `Set ${parent} itself.` }];
}
