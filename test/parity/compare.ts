/** Runs a program and sorts what it checked into its rows. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Check } from '../native/check-lines.ts';
import { runChecks, type Checked } from '../native/run-checks.ts';
import type { Program, Row } from './programs.ts';

/** What README says of every number in F32: no program may be more lenient, but for rows that say so. */
export const LIMIT = 1e-3;

export interface Compared {
  row: Row;
  checks: Check[];
}

export interface Comparison {
  program: string;
  rows: Compared[];
  /** one sentence each: what is wrong with the program, its rows or its checks */
  failures: string[];
}

/** @param find where a program is, built if it has to be */
export async function compare(
  program: Program,
  find: (name: string) => Promise<string>,
): Promise<Comparison> {
  const folder = await mkdtemp(join(tmpdir(), 'tiller-parity-'));
  let checked: Checked = { checks: [], exitCode: undefined, stderr: '' };
  const failures: string[] = [];
  try {
    checked = await runChecks(await find(program.name), await program.args(folder));
    if (checked.exitCode !== 0 && checked.checks.every(({ ok }) => ok))
      failures.push(ending(checked));
  } catch (error) {
    // Such as one that does not compile: the others are still compared.
    failures.push(`could not be run: ${(error as Error).message}`);
  } finally {
    await rm(folder, { recursive: true });
  }
  const rows: Compared[] = program.rows.map((row) => ({ row, checks: [] }));
  for (const check of checked.checks) {
    const place = rows.find(({ row }) => row.match.test(check.check));
    place?.checks.push(check);
    if (!check.ok) failures.push(`${check.check}: ${check.error} is above ${check.limit}`);
    const most = place?.row.limit ?? LIMIT;
    if (check.ok && place !== undefined && check.limit > most)
      failures.push(`${check.check}: its limit of ${check.limit} is above ${most}`);
  }
  for (const { row, checks } of rows)
    if (checks.length < row.atLeast)
      failures.push(`${row.golden}: ${checks.length} checks, and not ${row.atLeast} or more`);
  return { program: program.name, rows, failures };
}

function ending({ exitCode, stderr }: Checked): string {
  const how = exitCode === undefined ? 'was ended by a signal' : `ended with ${exitCode}`;
  return `${how}, though no check had failed: ${stderr.trim().split('\n').at(-1)}`;
}
