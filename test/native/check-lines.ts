/** A line that a program of native/tests/ prints for each check (native/tests/check.h). */
export interface Check {
  check: string;
  error: number | null;
  limit: number;
  ok: boolean;
}

export const parseChecks = (stdout: string): Check[] =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}')) // a crash may leave half a line
    .map((line) => JSON.parse(line) as Check);
