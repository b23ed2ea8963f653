/** Programs of native/tests/: each prints a JSON line a check, and ends with 1 if one failed. */
import { expect } from '@jest/globals';
import { execa } from 'execa';
import { buildNative } from '../../native/build.ts';
import { parseChecks } from './check-lines.ts';

/** @param atLeast the least that it has to have checked, lest it ends early unseen */
export async function expectChecks(
  name: string,
  atLeast: number,
  args: readonly string[] = [],
): Promise<void> {
  const { path } = await buildNative(name);
  const { stdout, stderr, exitCode } = await execa(path, args, { reject: false });
  const checks = parseChecks(stdout);
  expect(checks.filter((check) => !check.ok)).toEqual([]);
  expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(checks.length).toBeGreaterThanOrEqual(atLeast);
}
