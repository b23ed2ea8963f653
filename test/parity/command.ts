import { compare, type Comparison } from './compare.ts';
import type { Program } from './programs.ts';
import { detailsOf, summaryOf, tableOf } from './report.ts';

/** @returns the exit code */
export async function runParity(
  programs: readonly Program[],
  find: (name: string) => Promise<string>,
  { all = false } = {},
): Promise<number> {
  const comparisons: Comparison[] = [];
  for (const program of programs) comparisons.push(await compare(program, find));
  if (all) console.log(`${detailsOf(comparisons)}\n`);
  console.log(tableOf(comparisons));
  for (const { program, failures } of comparisons)
    for (const failure of failures) console.log(`FAILED ${program}: ${failure}`);
  const summary = summaryOf(comparisons);
  console.log(JSON.stringify(summary));
  return summary.failed > 0 || summary.checks === 0 ? 1 : 0;
}
