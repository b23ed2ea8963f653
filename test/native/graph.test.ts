import { expect, test } from '@jest/globals';
import { execa } from 'execa';
import { buildNative } from '../../native/build.ts';
import { expectChecks } from './checks.ts';

const programs = [
  { name: 'graph_nodes_test', what: "finite differences of the graph's nodes", atLeast: 22 },
  { name: 'graph_test', what: "every layer's CPU kernels against its graph", atLeast: 260 },
  { name: 'graph_model_test', what: 'whole models on the CPU against their graphs', atLeast: 8 },
];

test.each(programs)('$what', ({ name, atLeast }) => expectChecks(name, atLeast), 300_000);

test('a device that is not there: its name, and those that are', async () => {
  const { path } = await buildNative('graph_test');
  const { stderr, exitCode } = await execa(path, ['quantum'], { reject: false });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/there is no device "quantum".*What is here: cpu, ggml-cpu \(/);
}, 300_000);
