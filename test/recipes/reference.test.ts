import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { recipeKeys } from '../../recipes/keys.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/reference/recipe.md'), 'utf8');

const code = (text: string) => (text === '' || text === 'required' ? text : `\`${text}\``);
const rowOf = ({
  path,
  allowed,
  default: value,
  description,
}: ReturnType<typeof recipeKeys>[number]) =>
  `| \`${path}\` | ${allowed} | ${code(value)} | ${description} |`;

test('every key has a row with its range, default and description', () => {
  const rows = page.split('\n');
  expect(
    recipeKeys()
      .map(rowOf)
      .filter((row) => !rows.includes(row)),
  ).toEqual([]);
});

test('every row is a key', () => {
  const known = new Set(recipeKeys().map(({ path }) => path));
  const documented = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, path]) => path!);
  expect(documented.filter((path) => !known.has(path))).toEqual([]);
  expect(documented).toHaveLength(known.size);
});

test('every key is described', () => {
  expect(
    recipeKeys()
      .filter(({ description }) => description === '')
      .map(({ path }) => path),
  ).toEqual([]);
});
