import { execa } from 'execa';
import { parseChecks, type Check } from './check-lines.ts';

export interface Checked {
  checks: Check[];
  /** undefined where a signal ended it */
  exitCode: number | undefined;
  stderr: string;
}

/** Runs a program of native/tests/, which ends with 1 if a check failed. */
export async function runChecks(path: string, args: readonly string[]): Promise<Checked> {
  const { stdout, stderr, exitCode } = await execa(path, args, { reject: false });
  return { checks: parseChecks(stdout), exitCode, stderr };
}
