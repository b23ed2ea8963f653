/** Turns what zod found into problems that a person can act on. */
import type { z } from 'zod';
import { aliases } from './aliases/table.ts';
import { nearest } from './nearest.ts';
import { dotted, type Problem, quoted } from './problem.ts';
import { allowed, keysOf, type Path, recipeShape, type Shape, shapeAt } from './shape.ts';
import { getIn } from './tree.ts';

type Issue = z.core.$ZodIssue;

export function explain(issue: Issue, recipe: unknown, at: Path = []): Problem[] {
  const path: Path = [...at, ...(issue.path as (string | number)[])];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key));
  if (issue.code === 'invalid_union') {
    const branch = closestBranch(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => explain(inner, recipe, path));
  }
  return [wrongValue(path, getIn(recipe, path), issue)];
}

/** Of a union's alternatives, the one whose type the value has. */
const closestBranch = (branches: readonly Issue[][]): Issue[] | undefined =>
  branches.find(
    (issues) => !issues.some(({ code, path }) => code.startsWith('invalid_') && path.length === 0),
  );

function unknownKey(path: Path, key: string): Problem {
  const full = [...path, key];
  const siblings = keysOf(shapeAt(path));
  const close = nearest(key, siblings) ?? elsewhere(key);
  const advice =
    close === undefined ? `Known here: ${siblings.join(', ')}.` : `Did you mean ${close}?`;
  return { path: full, subject: key, what: `unknown key at ${dotted(full)}`, advice, atKey: true };
}

/** The same key in another section, or what another trainer's key is called here. */
function elsewhere(key: string): string | undefined {
  const alias = aliases.get(key);
  if (alias !== undefined) return alias.to;
  for (const [section, shape] of Object.entries(recipeShape.properties ?? {})) {
    if (key === section) return section;
    if (keysOf(shape).includes(key)) return `${section}.${key}`;
  }
  return undefined;
}

function wrongValue(path: Path, value: unknown, issue: Issue): Problem {
  const shape = shapeAt(path) ?? {};
  if (value === undefined) return { path, what: 'missing', advice: needed(shape) };
  if (value === null) {
    return {
      path,
      what: 'empty',
      advice: `Give it a value or leave the key out. ${needed(shape)}`,
    };
  }
  const advice = `Allowed: ${allowed(shape)}.`;
  if (issue.code === 'too_small' || issue.code === 'too_big') {
    return { path, what: `${sized(value)} is out of range`, advice };
  }
  if (issue.code === 'invalid_value') {
    const close = typeof value === 'string' ? nearest(value, shape.enum ?? []) : undefined;
    const suggestion = close === undefined ? '' : ` Did you mean ${close}?`;
    return { path, what: `${quoted(value)} is not allowed`, advice: `${advice}${suggestion}` };
  }
  if (issue.code === 'invalid_format') {
    const words = issue.message.startsWith('Invalid') ? allowed(shape) : issue.message;
    return { path, what: `${quoted(value)} is not allowed`, advice: `Allowed: ${words}.` };
  }
  return { path, what: `${quoted(value)} is the wrong kind of value`, advice };
}

const needed = (shape: Shape): string =>
  shape.description === undefined ? `Allowed: ${allowed(shape)}.` : `It is: ${shape.description}.`;

/** A long text or list is named by its length. */
function sized(value: unknown): string {
  if (typeof value === 'string')
    return `a text of ${value.length.toLocaleString('en-US')} characters`;
  if (Array.isArray(value)) return `a list of ${value.length} entries`;
  return quoted(value);
}
