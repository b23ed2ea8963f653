/** What `npm run test:vulkan` prints: a row a program, and what they come to. */
import type { Check } from '../native/check-lines.ts';
import type { Training } from './end-to-end.ts';
import type { Outcome } from './program.ts';

const columns = (...[name, checks, worst, limit, seconds, failed]: string[]): string =>
  [
    name!.padEnd(25),
    checks!.padStart(6),
    worst!.padStart(9),
    limit!.padStart(7),
    seconds!.padStart(8),
    failed!.padStart(7),
  ].join(' ');

export const title = columns('program', 'checks', 'worst', 'limit', 'seconds', 'failed');

export function row({ name, checks, seconds, complaints }: Outcome): string {
  const worst = worstOf(checks);
  return columns(
    name,
    String(checks.length),
    worst?.error?.toExponential(1) ?? '-',
    worst?.limit.toExponential(0) ?? '-',
    seconds.toFixed(1),
    String(complaints.length),
  );
}

export const trainingWords = ({ name, difference, nodes, splits }: Training): string =>
  `${name}: the losses of 20 steps are within ${difference.toExponential(1)} of the CPU's; ${nodes} nodes, ${splits} split`;

export const trainingFigures = ({ name, difference, nodes, splits }: Training) => ({
  name,
  difference,
  nodes,
  splits,
});

/** `worst` is the check whose error is the largest part of its limit. */
export function summary(outcomes: readonly Outcome[]) {
  const checks = outcomes.flatMap((outcome) => outcome.checks);
  const worst = worstOf(checks);
  return {
    checks: checks.length,
    worst: worst && { check: worst.check, error: worst.error, limit: worst.limit },
    failed: outcomes.reduce((sum, { complaints }) => sum + complaints.length, 0),
    device: outcomes.find(({ device }) => device !== '')?.device ?? null,
  };
}

function worstOf(checks: readonly Check[]): Check | undefined {
  let worst: Check | undefined;
  for (const check of checks) if (worst === undefined || share(check) > share(worst)) worst = check;
  return worst;
}

/** Errors that are no number are the worst; yes-or-no checks have the limit 0. */
const share = ({ error, limit, ok }: Check): number =>
  error === null ? Infinity : limit === 0 ? (ok ? 0 : Infinity) : error / limit;
