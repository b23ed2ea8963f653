/** Programs of native/tests/ print a JSON line a check, and end with 1 if one failed. */
import { execa } from 'execa';

export interface Check {
  check: string;
  /** null where it is no number */
  error: number | null;
  limit: number;
  ok: boolean;
}

export interface Checked {
  checks: Check[];
  /** undefined where a signal ended it */
  exitCode: number | undefined;
  stderr: string;
}

export async function runChecks(path: string, args: readonly string[]): Promise<Checked> {
  const { stdout, stderr, exitCode } = await execa(path, args, { reject: false });
  const checks = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Check);
  return { checks, exitCode, stderr };
}
