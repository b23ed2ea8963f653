/**
 * A curve reduced to what a screen can show. Of the raw points each bucket keeps the first, the least,
 * the greatest and the last at their own steps, and one that can't be drawn, so that the line breaks.
 */
import { cut, pieceOf, type Piece } from './piece.ts';

export interface Reduction {
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly buckets: number;
  /** 0 to 1: weight of the past; 0 draws no smoothed line. */
  readonly smooth: number;
  /** Leave far points out of the scale. */
  readonly clip: boolean;
  /** The scale is logarithmic: what is not above zero cannot be drawn. */
  readonly log: boolean;
}

export interface Bucket {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly mean: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly last: number | null;
  readonly nan: number;
}

interface Line {
  readonly steps: number[];
  readonly values: (number | null)[];
}

interface Scale {
  /** The scale, and how many points lie outside of it. */
  readonly low: number | null;
  readonly high: number | null;
  readonly clipped: number;
}

export interface ReducedCurve extends Scale {
  readonly count: number;
  readonly firstStep: number | null;
  readonly lastStep: number | null;
  readonly raw: Line;
  readonly smooth: Line;
  /** Steps whose value is not a number or infinite; at most MARKED_NAN of them, `nanCount` in all. */
  readonly nan: number[];
  readonly nanCount: number;
  readonly notPositive: number;
  readonly table: Bucket[];
}

const MARKED_NAN = 200;
const TABLE_ROWS = 40;
/** Points beyond the middle nine tenths by more than this many times their spread are far. */
const FAR = 3;
/** Quantiles need no more points than this. */
const QUANTILE_POINTS = 20_000;

/** Index of the first step that is at least `step`. */
export const lowerBound = (steps: Float64Array, step: number): number => {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((steps[middle] ?? Infinity) < step) low = middle + 1;
    else high = middle;
  }
  return low;
};

const finiteOrNull = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** The fifth and the ninety-fifth hundredth of the finite values between two indices. */
const quantiles = (values: Float64Array, start: number, end: number): [number, number] => {
  const stride = Math.max(1, Math.floor((end - start) / QUANTILE_POINTS));
  const finite = new Float64Array(Math.ceil((end - start) / stride));
  let count = 0;
  for (let index = start; index < end; index += stride) {
    const value = values[index]!;
    if (Number.isFinite(value)) finite[count++] = value;
  }
  const sorted = finite.subarray(0, count).sort();
  const at = (share: number): number => sorted[Math.round(share * (count - 1))] ?? NaN;
  return [at(0.05), at(0.95)];
};

/** The scale ends at the outermost point that is drawn. */
const scaleOf = (
  values: Float64Array,
  pieces: readonly Piece[],
  { clip, log }: Reduction,
): Scale => {
  let [least, greatest] = [-Infinity, Infinity];
  const [first, last] = [pieces[0], pieces.at(-1)];
  if (clip && first !== undefined && last !== undefined) {
    const [q05, q95] = quantiles(values, first.from, last.to);
    const spread = (q95 - q05) * FAR;
    [least, greatest] = [q05 - spread, q95 + spread];
  }
  let [low, high, clipped] = [Infinity, -Infinity, 0];
  const take = (value: number): void => {
    if (value < low) low = value;
    if (value > high) high = value;
  };
  for (const piece of pieces) {
    if (piece.least < 0) continue;
    const [pieceLow, pieceHigh] = [values[piece.least]!, values[piece.greatest]!];
    if (pieceLow >= least && pieceHigh <= greatest) {
      take(pieceLow);
      take(pieceHigh);
      continue;
    }
    for (let index = piece.from; index < piece.to; index += 1) {
      const value = values[index]!;
      if (!Number.isFinite(value) || (log && value <= 0)) continue;
      if (value < least || value > greatest) clipped += 1;
      else take(value);
    }
  }
  return { low: finiteOrNull(low), high: finiteOrNull(high), clipped };
};

/** Indices of a piece that are drawn, ascending. */
const chosenOf = ({ from, to, least, greatest, broken }: Piece): number[] => {
  const chosen = new Set([from, least, greatest, broken, to - 1]);
  chosen.delete(-1);
  return [...chosen].sort((a, b) => a - b);
};

/** A row of the table: pieces that lie side by side. */
const bucketOf = (steps: Float64Array, values: Float64Array, pieces: readonly Piece[]): Bucket => {
  const { from } = pieces[0]!;
  const { to } = pieces.at(-1)!;
  let [sum, nan] = [0, 0];
  let [min, max] = [Infinity, -Infinity];
  for (const piece of pieces) {
    sum += piece.sum;
    nan += piece.nan;
    min = Math.min(min, piece.min);
    max = Math.max(max, piece.max);
  }
  const finite = to - from - nan;
  return {
    from: steps[from]!,
    to: steps[to - 1]!,
    count: to - from,
    mean: finite === 0 ? null : sum / finite,
    min: finiteOrNull(min),
    max: finiteOrNull(max),
    last: finiteOrNull(values[to - 1]!),
    nan,
  };
};

/** The first steps whose value is NaN or infinite. */
const nanSteps = (
  steps: Float64Array,
  values: Float64Array,
  pieces: readonly Piece[],
): number[] => {
  const found: number[] = [];
  for (const piece of pieces) {
    if (piece.nan === 0) continue;
    for (let index = piece.broken; index < piece.to; index += 1) {
      if (Number.isFinite(values[index]!)) continue;
      if (found.length === MARKED_NAN) return found;
      found.push(steps[index]!);
    }
  }
  return found;
};

/** @param smoothed as long as the curve, or nothing if no smoothed line is wanted */
export const reduceCurve = (
  steps: Float64Array,
  values: Float64Array,
  smoothed: Float64Array | undefined,
  asked: Reduction,
): ReducedCurve => {
  const start = asked.from === undefined ? 0 : lowerBound(steps, asked.from);
  const end = Math.max(
    start,
    asked.to === undefined ? steps.length : lowerBound(steps, asked.to + 1),
  );
  const pieces = cut(start, end, asked.buckets).map(([from, to]) =>
    pieceOf(values, from, to, asked.log),
  );
  const raw: Line = { steps: [], values: [] };
  const smooth: Line = { steps: [], values: [] };
  const push = (line: Line, index: number, value: number): void => {
    line.steps.push(steps[index]!);
    line.values.push(Number.isFinite(value) && !(asked.log && value <= 0) ? value : null);
  };
  for (const piece of pieces) {
    for (const index of chosenOf(piece)) push(raw, index, values[index]!);
    if (smoothed !== undefined) push(smooth, piece.to - 1, smoothed[piece.to - 1]!);
  }
  const count = (of: (piece: Piece) => number): number =>
    pieces.reduce((sum, piece) => sum + of(piece), 0);
  return {
    count: end - start,
    firstStep: end === start ? null : steps[start]!,
    lastStep: end === start ? null : steps[end - 1]!,
    raw,
    smooth,
    nan: nanSteps(steps, values, pieces),
    nanCount: count(({ nan }) => nan),
    notPositive: count(({ notPositive }) => notPositive),
    ...scaleOf(values, pieces, asked),
    table: cut(0, pieces.length, TABLE_ROWS).map(([from, to]) =>
      bucketOf(steps, values, pieces.slice(from, to)),
    ),
  };
};
