import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { execa } from 'execa';
import { readOptions } from '../../bench/tools/options.ts';
import { holds, lineOf, ratioOf, tableOf, type BenchResult } from '../../bench/tools/result.ts';

const result = (fields: Partial<BenchResult>): BenchResult => ({
  bench: 'ingest',
  ours: 30,
  peer: 10,
  unit: 'rows/s',
  better: 'more',
  figures: [{ name: 'ours', value: 30, unit: 'rows/s' }],
  ...fields,
});

describe('a result', () => {
  test.each([
    ['more', 30, 10, 3],
    ['less', 10, 30, 3],
    ['less', 30, 10, 1 / 3],
    ['more', 30, null, null],
  ] as const)('where %s is better, %d beside %p is %p', (better, ours, peer, ratio) => {
    expect(ratioOf(result({ better, ours, peer }))).toBe(ratio);
  });
  test.each([
    [{}, true],
    [{ ratio: 3 }, true],
    [{ ratio: 3.1 }, false],
    [{ atMost: 30 }, true],
    [{ atMost: 29 }, false],
    [{ ratio: 2, atMost: 29 }, false],
  ])('with the goal %p holds: %p', (goal, held) => {
    expect(holds(result({ goal }))).toBe(held);
    if (Object.keys(goal).length > 0)
      expect(tableOf(result({ goal }))).toContain(held ? ': held' : ': MISSED');
  });
  test('without a peer holds no ratio', () => {
    expect(holds(result({ peer: null, goal: { ratio: 1 } }))).toBe(false);
  });
  test('is one line of JSON with the same keys for all', () => {
    const line = lineOf(result({ ours: 1_234_567, peer: 100 }));
    expect(line).not.toContain('\n');
    expect(JSON.parse(line)).toEqual({
      bench: 'ingest',
      ours: 1_235_000,
      peer: 100,
      ratio: 12_350,
      unit: 'rows/s',
      machine: expect.stringContaining('Node '),
    });
  });
});

const root = join(import.meta.dirname, '../..');
const call = (file: string, args: readonly string[]) =>
  execa(process.execPath, [join(root, file), ...args], { reject: false });

test.each([
  ['bench/bench.ts', ['tax', '--steps', 'many'], 'Give an integer, 1 or more'],
  ['bench/bench.ts', ['tax', '--setps', '5'], 'Did you mean --steps?'],
  ['bench/bench.ts', ['tax', '5'], 'too many arguments'],
  ['bench/bench.ts', ['quality', '--seeds', '42,x'], 'with commas between'],
  ['bench/bench.ts', ['sd15', '--mode', 'lora,fool'], 'Give one of lora, full'],
  ['bench/bench.ts', ['sd15', '--pixels', '512,256,128'], '--pixels is one number, or two'],
  ['test/chaos/chaos.ts', ['--kills', '0'], 'Give an integer, 1 or more'],
])('%s %p is refused before anything is measured', async (file, args, said) => {
  const { exitCode, stdout, stderr } = await call(file, args);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain(said);
});

test('options have defaults, and lists and switches are read', () => {
  const defaults = { rows: 5, seeds: [1], limitS: 5, keep: false };
  expect(readOptions('x', [], defaults)).toEqual(defaults);
  expect(
    readOptions('x', ['--rows', '7', '--seeds', '2,3', '--limit-s', '9', '--keep'], defaults),
  ).toEqual({ rows: 7, seeds: [2, 3], limitS: 9, keep: true });
});

test('of words those are read that are there by default', () => {
  const defaults = { mode: ['lora', 'full'] };
  expect(readOptions('x', [], defaults)).toEqual(defaults);
  expect(readOptions('x', ['--mode', 'full'], defaults)).toEqual({ mode: ['full'] });
});

test.each([[[]], [['no-such']]])('called with %p, the names are listed', async (args) => {
  const { exitCode, stderr } = await call('bench/bench.ts', args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('ingest');
  expect(stderr).not.toMatch(/\bbench,|\btools\b/);
});
