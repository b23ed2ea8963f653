import { expect, test } from '@jest/globals';
import { execa } from 'execa';
import { buildNative } from '../../native/build.ts';

interface Check {
  check: string;
  error: number | null;
  limit: number;
  ok: boolean;
}

// One line a check; the least that each program has to have checked, lest one ends early unseen.
const programs = [
  { name: 'graph_nodes_test', what: "finite differences of the graph's nodes", atLeast: 22 },
  { name: 'graph_test', what: "every layer's CPU kernels against its graph", atLeast: 110 },
  { name: 'graph_model_test', what: 'whole models on the CPU against their graphs', atLeast: 8 },
];

test.each(programs)(
  '$what',
  async ({ name, atLeast }) => {
    const { path } = await buildNative(name);
    const { stdout, stderr, exitCode } = await execa(path, { reject: false });
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

test('a device that is not there: its name, and those that are', async () => {
  const { path } = await buildNative('graph_test');
  const { stderr, exitCode } = await execa(path, ['quantum'], { reject: false });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/there is no device "quantum".*What is here: cpu, ggml-cpu \(/);
}, 300_000);
