import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { execa } from 'execa';
import { buildNative } from '../../native/build.ts';

interface Check {
  check: string;
  error: number | null;
  limit: number;
  ok: boolean;
}

const golden = join(import.meta.dirname, '..', 'golden');

// One line a check; the least that each program has to have checked, lest one ends early unseen.
const programs = [
  { name: 'compute_test', what: 'random numbers, threads, parameters, optimizer', atLeast: 23 },
  { name: 'layers_test', what: "every layer's gradients by finite differences", atLeast: 300 },
  { name: 'golden_test', what: 'U-Net and text encoder against PyTorch', atLeast: 470 },
];

test.each(programs)(
  '$what',
  async ({ name, atLeast }) => {
    const { path } = await buildNative(name);
    const { stdout, stderr, exitCode } = await execa(path, [golden], { reject: false });
    const checks = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Check);
    expect(checks.filter((check) => !check.ok)).toEqual([]);
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(checks.length).toBeGreaterThanOrEqual(atLeast);
  },
  300_000,
);
