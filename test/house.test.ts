import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { importsOf, table, violations } from './house/imports.ts';

const root = resolve(import.meta.dirname, '..');

/** Files of the house: known to git, or new and not ignored. */
function sourceFiles(): { path: string; text: string }[] {
  const list = execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  return [...new Set(list.split('\n'))]
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

describe('the house', () => {
  test.each([...Object.keys(table), 'migrations', 'test', 'bench', 'docs/guide', 'docs/reference'])(
    '%s is a room of it',
    (room) => expect(existsSync(join(root, room))).toBe(true),
  );
  test('a room imports only what the table lets it', () => {
    expect(violations(sourceFiles())).toEqual([]);
  });
});

describe('the checker', () => {
  const check = (path: string, text: string) => violations([{ path, text }]);
  test.each([
    ['recipes/a.ts', "import { b } from '../db/b.ts';"],
    ['ranking/a.ts', "import { b } from '../recipes/b.ts';"],
    ['ranking/a.ts', "import type { B } from '../recipes/b.ts';"],
    ['db/a.ts', "import { recipeSchema } from '../recipes/schema.ts';"],
    ['db/a.ts', "export * from '../recipes/schema.ts';"],
    ['native/a.ts', "import '../recipes/errors.ts';"],
    ['workflows/a.ts', "import { run } from '../activities/index.ts';"],
    ['workflows/a.ts', "import { type A, run } from '../activities/index.ts';"],
    ['workflows/a.ts', "export { run } from '../activities/index.ts';"],
    ['workflows/a.ts', "const x = await import('../activities/index.ts');"],
    ['workflows/a.ts', "import { db } from '../db/runs.ts';"],
    ['activities/training/a.ts', "import { x } from '../../engine/client.ts';"],
    ['activities/training/a.ts', "import { x } from '../../native/ggml.ts';"],
    ['engine/a.ts', "import { x } from '../native/build.ts';"],
    ['dashboards/routes/a.ts', "import { x } from '../../engine/supervisor.ts';"],
    ['dashboards/a.ts', "type X = import('../activities/index.ts').X;"],
    ['cli/a.ts', "import { x } from '../test/helper.ts';"],
    ['cli/a.ts', "import { x } from '../bench/helper.ts';"],
    ['attic/a.ts', 'export {};'],
  ])('in %s refuses %s', (path, text) => expect(check(path, text)).toHaveLength(1));
  test.each([
    ['workflows/a.ts', "import type { Activities } from '../activities/index.ts';"],
    ['workflows/a.ts', "import { type A, type B } from '../activities/index.ts';"],
    ['db/a.ts', "import type { Recipe } from '../recipes/schema.ts';"],
    ['db/a.ts', "import { TillerError } from '../recipes/errors.ts';"],
    ['dashboards/routes/a.ts', "import { startRun } from '../../engine/client.ts';"],
    [
      'activities/a/b.ts',
      "import { x } from '../../native/protocol.ts';\nimport { z } from 'zod';",
    ],
    ['recipes/a.ts', "import { x } from './b.ts'; // import { y } from '../db/y.ts'"],
    ['recipes/a.ts', "const text = `import { y } from '../db/y.ts'`;"],
    ['test/a.ts', "import { x } from '../engine/find.ts';"],
    ['bench/a.ts', "import { x } from '../db/runs.ts';"],
  ])('in %s accepts %s', (path, text) => expect(check(path, text)).toEqual([]));
  test('sees every form of import', () => {
    const text = `
      import a from 'a';
      import * as b from 'b';
      import 'c';
      export * as d from 'd';
      export { e } from 'e';
      const f = () => import('f');
      import type { G } from 'g';
    `;
    expect(importsOf(text).map(({ from }) => from)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    expect(importsOf(text).filter(({ typeOnly }) => typeOnly)).toEqual([
      { from: 'g', typeOnly: true },
    ]);
  });
});
