/** Every key of a recipe in a row, as docs/reference/recipe.md has them. */
import { allowed, recipeShape, type Shape } from './shape.ts';

export interface Key {
  /** Dotted; `[]` stands for an entry of a list. */
  path: string;
  allowed: string;
  /** As YAML writes it; empty where there is none. */
  default: string;
  description: string;
}

export const recipeKeys = (): Key[] => keysBelow(recipeShape, '');

function keysBelow(shape: Shape, prefix: string): Key[] {
  const alternatives = [shape, ...(shape.anyOf ?? [])];
  return alternatives.flatMap(({ properties = {}, required = [], items }) => [
    ...Object.entries(properties).flatMap(([name, inner]) => {
      const path = `${prefix}${name}`;
      return [key(path, inner, required.includes(name)), ...keysBelow(inner, `${path}.`)];
    }),
    ...(items === undefined ? [] : keysBelow(items, `${prefix.replace(/\.$/, '')}[].`)),
  ]);
}

function key(path: string, shape: Shape, required: boolean): Key {
  const { default: value, description = '' } = shape;
  const isSection = shape.properties !== undefined;
  return {
    path,
    allowed: allowed(shape),
    default: required ? 'required' : isSection || value === undefined ? '' : JSON.stringify(value),
    description,
  };
}
