import { expect } from '@jest/globals';
import { buildNative } from '../../native/build.ts';
import { runChecks } from './run-checks.ts';

/** @param atLeast the least that it has to have checked, lest it ends early unseen */
export async function expectChecks(
  name: string,
  atLeast: number,
  args: readonly string[] = [],
): Promise<void> {
  const { path } = await buildNative(name);
  const { checks, stderr, exitCode } = await runChecks(path, args);
  expect(checks.filter((check) => !check.ok)).toEqual([]);
  expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(checks.length).toBeGreaterThanOrEqual(atLeast);
}
