/**
 * Whether two means differ by more than their spread: Welch's interval, for samples of unequal
 * variance (B. L. Welch, 1947).
 *
 * (1) d  = mean_b - mean_a
 * (2) s² = sd_a²/n_a + sd_b²/n_b
 * (3) v  = s⁴ / ((sd_a²/n_a)²/(n_a-1) + (sd_b²/n_b)²/(n_b-1))
 * (4) d ± t(v) · s, with t the two-sided 95 % quantile of Student's distribution
 */
export interface Sample {
  mean: number;
  /** Standard deviation, with n - 1. */
  deviation: number;
  n: number;
}

export interface MeanDifference {
  difference: number;
  /** Half the width of the 95 % interval. */
  margin: number;
}

/** Null where there is too little to tell: fewer than 3 values on a side, or figures that aren't finite. */
export function meanDifference(a: Sample, b: Sample): MeanDifference | null {
  if (a.n < 3 || b.n < 3) return null;
  const [left, right] = [a.deviation ** 2 / a.n, b.deviation ** 2 / b.n];
  const difference = b.mean - a.mean;
  const variance = left + right;
  if (!Number.isFinite(difference) || !Number.isFinite(variance)) return null;
  if (variance === 0) return { difference, margin: 0 };
  const freedom = variance ** 2 / (left ** 2 / (a.n - 1) + right ** 2 / (b.n - 1));
  return { difference, margin: studentQuantile(freedom) * Math.sqrt(variance) };
}

const Z = 1.959963984540054;

/** Abramowitz & Stegun 26.7.5; within 0.5 % for v ≥ 3, and it goes to the normal quantile. */
export function studentQuantile(v: number): number {
  const z3 = Z ** 3;
  const z5 = Z ** 5;
  const z7 = Z ** 7;
  const z9 = Z ** 9;
  return (
    Z +
    (z3 + Z) / (4 * v) +
    (5 * z5 + 16 * z3 + 3 * Z) / (96 * v ** 2) +
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * Z) / (384 * v ** 3) +
    (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * Z) / (92_160 * v ** 4)
  );
}
