import { expect, test } from '@jest/globals';
import { execa } from 'execa';
import { buildNative } from '../../native/build.ts';
import { expectChecks } from './checks.ts';
import { argumentsOf, graphPrograms } from './graph-programs.ts';

test.each(graphPrograms)(
  '$what',
  (program) => expectChecks(program.name, program.atLeast, argumentsOf('ggml-cpu', program)),
  300_000,
);

test('a device that is not there: its name, and those that are', async () => {
  const { path } = await buildNative('graph_test');
  const { stderr, exitCode } = await execa(path, ['quantum'], { reject: false });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/there is no device "quantum".*What is here: cpu, ggml-cpu \(/);
}, 300_000);
