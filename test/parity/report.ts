/** What was compared, as a table for people and as a line for programs. */
import type { Check } from '../native/check-lines.ts';
import type { Comparison } from './compare.ts';

export interface Summary {
  checks: number;
  /** the worst relative error of what is in F32; null where it is no number */
  worst: number | null;
  failed: number;
}

export function summaryOf(comparisons: readonly Comparison[]): Summary {
  const checks = comparisons.flatMap(({ rows }) => rows.flatMap((row) => row.checks));
  const inF32 = comparisons.flatMap(({ rows }) =>
    rows.flatMap(({ row, checks }) => (row.limit === undefined ? checks : [])),
  );
  const worst = worstOf(inF32);
  return {
    checks: checks.length,
    worst: Number.isFinite(worst) ? worst : null,
    failed: comparisons.flatMap(({ failures }) => failures).length,
  };
}

export function tableOf(comparisons: readonly Comparison[]): string {
  const lines = comparisons.flatMap(({ rows }) =>
    rows.map(({ row, checks }) => [
      row.golden,
      row.peer,
      String(checks.length),
      short(worstOf(checks)),
      limitsOf(checks),
    ]),
  );
  const header = ['golden', 'beside', 'checks', 'worst', 'limit'];
  const all = [header, ...lines];
  const width = header.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  return all
    .map((line) =>
      line
        .map((text, i) => (i === 2 || i === 3 ? text.padStart(width[i]!) : text.padEnd(width[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Every comparison with a golden, the worst first. */
export function detailsOf(comparisons: readonly Comparison[]): string {
  return comparisons
    .flatMap(({ rows }) => rows.flatMap(({ checks }) => checks))
    .toSorted((a, b) => errorOf(b) - errorOf(a))
    .map(
      ({ check, error, limit }) =>
        `${short(error ?? Number.NaN).padStart(8)} of ${limit}  ${check}`,
    )
    .join('\n');
}

const errorOf = ({ error }: Check): number => error ?? Number.POSITIVE_INFINITY;
const worstOf = (checks: readonly Check[]): number => Math.max(0, ...checks.map(errorOf));

/** Limits of 0 are counts and timesteps, which every row may have. */
function limitsOf(checks: readonly Check[]): string {
  const limits = [...new Set(checks.map(({ limit }) => limit))].sort((a, b) => b - a);
  const [largest, next] = limits;
  if (largest === undefined) return 'nothing was compared';
  if (largest === 0) return 'the same';
  return next === undefined || next === 0
    ? short(largest)
    : `${short(largest)}, ${short(next)} of some`;
}

const short = (value: number): string => (value === 0 ? '0' : value.toExponential(1));
