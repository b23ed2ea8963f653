import { type Document, isCollection, parse } from 'yaml';
import { TillerError } from './errors.ts';
import type { Problem } from './problem.ts';
import { shapeAt } from './shape.ts';

/** `--set key=value`, taken apart. */
export interface Override {
  path: string[];
  value: unknown;
  /** as it was given, cut where it is longer than a line of a message bears */
  text: string;
}

const MAX_SHOWN = 80;

export function readOverride(given: string): Override {
  const text = given.length > MAX_SHOWN ? `${given.slice(0, MAX_SHOWN)}…` : given;
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(given) ?? [];
  if (key === undefined || value === undefined) {
    throw new TillerError('USAGE', `--set ${text} has no key or no value`, {
      hint: 'Write it as --set train.epochs=3.',
    });
  }
  const path = key.trim().split('.');
  return { path, text, value: readValue(path, value, text) };
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
export function applyOverride(document: Document, { path, value }: Override): Problem[] {
  for (let depth = 1; depth < path.length; depth++) {
    const parent = path.slice(0, depth);
    const node = document.getIn(parent, true);
    if (node === undefined || node === null || isCollection(node)) continue;
    if (document.getIn(parent) === null) {
      document.deleteIn(parent); // `train:` with nothing after it
      continue;
    }
    return [
      {
        path,
        what: `${parent.join('.')} is a value, not a section`,
        advice: `Set ${parent.join('.')} itself.`,
      },
    ];
  }
  document.setIn(path, document.createNode(value));
  return [];
}
