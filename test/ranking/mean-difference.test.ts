import { describe, expect, test } from '@jest/globals';
import { meanDifference, studentQuantile } from '../../ranking/mean-difference.ts';

describe("Student's quantile", () => {
  test.each([
    [3, 3.182446],
    [5, 2.570582],
    [10, 2.228139],
    [30, 2.042272],
    [100, 1.983972],
    [1e9, 1.959964],
  ])('of %d degrees of freedom', (freedom, expected) => {
    expect(Math.abs(studentQuantile(freedom) / expected - 1)).toBeLessThan(0.005);
  });
});

describe("Welch's interval", () => {
  test('of a worked example', () => {
    // freedom 27.8: t = 2.0490
    const result = meanDifference(
      { mean: 20.8, deviation: 2.8, n: 15 },
      { mean: 23, deviation: 3, n: 15 },
    );
    expect(result!.difference).toBeCloseTo(2.2, 10);
    expect(result!.margin).toBeCloseTo(2.049 * Math.sqrt(2.8 ** 2 / 15 + 3 ** 2 / 15), 2);
  });
  test('covers the truth 95 times in 100', () => {
    let state = 1;
    const uniform = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    const draw = (n: number, mean: number, deviation: number) => {
      const values = Array.from({ length: n }, () => mean + deviation * normal());
      const average = values.reduce((sum, value) => sum + value, 0) / n;
      const squares = values.reduce((sum, value) => sum + (value - average) ** 2, 0);
      return { mean: average, deviation: Math.sqrt(squares / (n - 1)), n };
    };
    let covered = 0;
    for (let round = 0; round < 4_000; round++) {
      const { difference, margin } = meanDifference(draw(6, 0, 1), draw(15, 1, 4))!;
      if (Math.abs(difference - 1) <= margin) covered += 1;
    }
    expect(covered / 4_000).toBeGreaterThan(0.94);
    expect(covered / 4_000).toBeLessThan(0.96);
  });
  test('is silent about too little, and about what is not a number', () => {
    const good = { mean: 1, deviation: 1, n: 10 };
    expect(meanDifference({ ...good, n: 2 }, good)).toBeNull();
    expect(meanDifference({ ...good, mean: NaN }, good)).toBeNull();
    expect(meanDifference({ ...good, deviation: Infinity }, good)).toBeNull();
    expect(
      meanDifference({ mean: 1, deviation: 0, n: 5 }, { mean: 2, deviation: 0, n: 5 }),
    ).toEqual({
      difference: 1,
      margin: 0,
    });
  });
});
