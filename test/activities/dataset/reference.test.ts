import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const read = (path: string) => readFileSync(resolve(import.meta.dirname, '../../..', path), 'utf8');

test('docs/reference/data.md has each kind of problem, and no other', () => {
  const [, union = ''] =
    /type ProblemKind =([^;]+);/.exec(read('activities/dataset/types.ts')) ?? [];
  const kinds = [...union.matchAll(/'([\w-]+)'/g)].map(([, kind]) => kind);
  const rows = [...read('docs/reference/data.md').matchAll(/^\| `([\w-]+)` \|/gm)].map(
    ([, kind]) => kind,
  );
  expect(kinds.length).toBeGreaterThan(5);
  expect(rows).toEqual(kinds);
});
