/**
 * What the schema says about a key, read back as JSON Schema: messages name the allowed range from
 * it, and docs/reference/recipe.md is tested against it.
 */
import { z } from 'zod';
import { writtenSchema } from './schema.ts';

export interface Shape {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, Shape>;
  required?: string[];
  items?: Shape;
  anyOf?: Shape[];
}

export type Path = readonly (string | number)[];

export const recipeShape = z.toJSONSchema(writtenSchema, { io: 'input' }) as Shape;

/** The shape at a path of a recipe; undefined where the schema has no such key. */
export function shapeAt(path: Path, from: Shape = recipeShape): Shape | undefined {
  const [head, ...rest] = path;
  if (head === undefined) return from;
  for (const shape of [from, ...(from.anyOf ?? [])]) {
    const next = /^\d+$/.test(String(head)) ? shape.items : ownProperty(shape, String(head));
    if (next !== undefined) return shapeAt(rest, next);
  }
  return undefined;
}

const ownProperty = ({ properties = {} }: Shape, key: string): Shape | undefined =>
  Object.hasOwn(properties, key) ? properties[key] : undefined;

/** The keys that an object at this place may have. */
export const keysOf = (shape: Shape | undefined): string[] =>
  shape === undefined
    ? []
    : [shape, ...(shape.anyOf ?? [])].flatMap(({ properties = {} }) => Object.keys(properties));

/** What is allowed, in words: "an integer, 1 to 5". */
export function allowed(shape: Shape): string {
  if (shape.anyOf !== undefined) return shape.anyOf.map(allowed).join('; or ');
  if (shape.enum !== undefined) return shape.enum.join(', ');
  const range = rangeOf(shape);
  return `${kindOf(shape)}${range === '' ? '' : `, ${range}`}`;
}

export function kindOf(shape: Shape): string {
  if (shape.type === 'array') return `a list of ${plural(shape.items ?? {})}`;
  if (shape.type === 'object') return 'a section of keys';
  if (shape.type === 'boolean') return 'true or false';
  if (shape.type === 'string') return 'text';
  return shape.type === 'integer' ? 'an integer' : 'a number';
}

function plural(shape: Shape): string {
  if (shape.anyOf !== undefined) return 'texts or sections';
  return shape.type === 'integer' ? `integers (${rangeOf(shape)})` : 'texts';
}

/** The range in words; empty if there is none. */
export function rangeOf(shape: Shape): string {
  if (shape.type === 'array') return between(shape.minItems, shape.maxItems, ' entries');
  if (shape.type === 'string') {
    if (shape.pattern !== undefined) return `as in ${shape.pattern}`;
    if (shape.minLength === 1 && shape.maxLength === undefined) return 'not empty';
    return between(shape.minLength, shape.maxLength, ' characters');
  }
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = shape;
  if (minimum !== undefined && maximum !== undefined) return between(minimum, maximum, '');
  return [
    ...(exclusiveMinimum === undefined ? [] : [`more than ${figure(exclusiveMinimum)}`]),
    ...(minimum === undefined ? [] : [`at least ${figure(minimum)}`]),
    ...(exclusiveMaximum === undefined ? [] : [`less than ${figure(exclusiveMaximum)}`]),
    ...(maximum === undefined ? [] : [`at most ${figure(maximum)}`]),
  ].join(', ');
}

function between(low: number | undefined, high: number | undefined, unit: string): string {
  if (low === undefined) return high === undefined ? '' : `at most ${figure(high)}${unit}`;
  if (high === undefined) return `at least ${figure(low)}${unit}`;
  return `${figure(low)} to ${figure(high)}${unit}`;
}

const figure = (value: number): string =>
  Number.isInteger(value) ? value.toLocaleString('en-US') : String(value);
