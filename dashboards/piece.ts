/** What the points of a piece of a curve come to, in one pass: a long curve is read a thousand times. */

export interface Piece {
  /** Indices: the first point, and the one behind the last. */
  readonly from: number;
  readonly to: number;
  /** Indices of the least and the greatest point that can be drawn, and of the first that cannot; or -1. */
  readonly least: number;
  readonly greatest: number;
  readonly broken: number;
  /** Of the finite values; `min` is Infinity and `max` -Infinity if there are none. */
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** How many are NaN or infinite, and how many finite ones are 0 or less. */
  readonly nan: number;
  readonly notPositive: number;
}

/** @param log what is 0 or less cannot be drawn either */
export const pieceOf = (values: Float64Array, from: number, to: number, log: boolean): Piece => {
  let [least, greatest, broken] = [-1, -1, -1];
  let [low, high] = [Infinity, -Infinity];
  let [min, max] = [Infinity, -Infinity];
  let [sum, nan, notPositive] = [0, 0, 0];
  for (let index = from; index < to; index += 1) {
    const value = values[index]!;
    // NaN and both infinities have no difference to themselves that is 0.
    if (value - value !== 0) {
      nan += 1;
      if (broken < 0) broken = index;
      continue;
    }
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
    if (value <= 0) {
      notPositive += 1;
      if (log) {
        if (broken < 0) broken = index;
        continue;
      }
    }
    if (value < low) {
      low = value;
      least = index;
    }
    if (value > high) {
      high = value;
      greatest = index;
    }
  }
  return { from, to, least, greatest, broken, sum, min, max, nan, notPositive };
};

/** Cuts a range of indices into at most `wanted` pieces of nearly equal length. */
export const cut = (
  start: number,
  end: number,
  wanted: number,
): readonly (readonly [from: number, to: number])[] => {
  const length = end - start;
  const count = Math.min(wanted, length);
  const border = (piece: number): number => start + Math.floor((piece * length) / count);
  return Array.from({ length: count }, (_, piece) => [border(piece), border(piece + 1)] as const);
};
