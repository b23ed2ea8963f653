/**
 * A curve reduced to what a screen can show. Of the raw points each bucket keeps the first, the least,
 * the greatest and the last at their own steps, and one that can't be drawn, so that the line breaks.
 */

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

/** A part of a curve, from one index up to another. */
export interface Part {
  readonly steps: readonly number[];
  readonly values: readonly number[];
  readonly start: number;
  readonly end: number;
}

type Drawable = (value: number) => boolean;

const MARKED_NAN = 200;
const TABLE_ROWS = 40;
/** Points beyond the middle nine tenths by more than this many times their spread are far. */
const FAR = 3;
/** Quantiles need no more points than this. */
const QUANTILE_POINTS = 20_000;

/** Index of the first step that is at least `step`. */
export const lowerBound = (steps: readonly number[], step: number): number => {
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

/** Cuts a part into so many pieces of nearly equal length. */
function* pieces({ start, end }: Part, wanted: number): Generator<[from: number, to: number]> {
  const count = end - start;
  const buckets = Math.min(wanted, count);
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    yield [
      start + Math.floor((bucket * count) / buckets),
      start + Math.floor(((bucket + 1) * count) / buckets),
    ];
  }
}

/** The fifth and the ninety-fifth hundredth. */
const quantiles = ({ values, start, end }: Part): [number, number] => {
  const stride = Math.max(1, Math.floor((end - start) / QUANTILE_POINTS));
  const finite: number[] = [];
  for (let index = start; index < end; index += stride) {
    const value = values[index] ?? NaN;
    if (Number.isFinite(value)) finite.push(value);
  }
  finite.sort((a, b) => a - b);
  const at = (share: number): number => finite[Math.round(share * (finite.length - 1))] ?? NaN;
  return [at(0.05), at(0.95)];
};

/** Least and greatest of what can be drawn within limits, and how many points lie outside of them. */
const extent = (
  { values, start, end }: Part,
  drawable: Drawable,
  least = -Infinity,
  greatest = Infinity,
): { low: number; high: number; outside: number } => {
  let low = Infinity;
  let high = -Infinity;
  let outside = 0;
  for (let index = start; index < end; index += 1) {
    const value = values[index] ?? NaN;
    if (!drawable(value)) continue;
    if (value < least || value > greatest) {
      outside += 1;
      continue;
    }
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high, outside };
};

/** The scale ends at the outermost point that is drawn. */
const scaleOf = (part: Part, drawable: Drawable, clip: boolean): Scale => {
  let { low, high, outside } = extent(part, drawable);
  if (clip && part.end > part.start) {
    const [q05, q95] = quantiles(part);
    const spread = (q95 - q05) * FAR;
    ({ low, high, outside } = extent(part, drawable, q05 - spread, q95 + spread));
  }
  return { low: finiteOrNull(low), high: finiteOrNull(high), clipped: outside };
};

/** Indices of a piece that are drawn, ascending. */
const chosenOf = (
  values: readonly number[],
  from: number,
  to: number,
  drawable: Drawable,
): number[] => {
  let least = -1;
  let greatest = -1;
  let broken = -1;
  for (let index = from; index < to; index += 1) {
    const value = values[index] ?? NaN;
    if (!drawable(value)) {
      if (broken < 0) broken = index;
      continue;
    }
    if (least < 0 || value < (values[least] ?? NaN)) least = index;
    if (greatest < 0 || value > (values[greatest] ?? NaN)) greatest = index;
  }
  const chosen = new Set([from, least, greatest, broken, to - 1]);
  chosen.delete(-1);
  return [...chosen].sort((a, b) => a - b);
};

const bucketOf = ({ steps, values }: Part, from: number, to: number): Bucket => {
  let sum = 0;
  let finite = 0;
  let min = Infinity;
  let max = -Infinity;
  for (let index = from; index < to; index += 1) {
    const value = values[index] ?? NaN;
    if (!Number.isFinite(value)) continue;
    sum += value;
    finite += 1;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return {
    from: steps[from] ?? 0,
    to: steps[to - 1] ?? 0,
    count: to - from,
    mean: finite === 0 ? null : sum / finite,
    min: finiteOrNull(min),
    max: finiteOrNull(max),
    last: finiteOrNull(values[to - 1] ?? NaN),
    nan: to - from - finite,
  };
};

/** What can't be drawn, counted and in part named. */
const oddities = ({ steps, values, start, end }: Part) => {
  const nan: number[] = [];
  let nanCount = 0;
  let notPositive = 0;
  for (let index = start; index < end; index += 1) {
    const value = values[index] ?? NaN;
    if (!Number.isFinite(value)) {
      nanCount += 1;
      if (nan.length < MARKED_NAN) nan.push(steps[index] ?? 0);
    } else if (value <= 0) {
      notPositive += 1;
    }
  }
  return { nan, nanCount, notPositive };
};

/** @param smoothed as long as the curve, or nothing if no smoothed line is wanted */
export const reduceCurve = (
  steps: readonly number[],
  values: readonly number[],
  smoothed: readonly number[] | undefined,
  asked: Reduction,
): ReducedCurve => {
  const start = asked.from === undefined ? 0 : lowerBound(steps, asked.from);
  const end = Math.max(
    start,
    asked.to === undefined ? steps.length : lowerBound(steps, asked.to + 1),
  );
  const part: Part = { steps, values, start, end };
  const drawable: Drawable = (value) => Number.isFinite(value) && !(asked.log && value <= 0);
  const raw: Line = { steps: [], values: [] };
  const smooth: Line = { steps: [], values: [] };
  const push = (line: Line, index: number, value: number): void => {
    line.steps.push(steps[index] ?? 0);
    line.values.push(drawable(value) ? value : null);
  };
  for (const [from, to] of pieces(part, asked.buckets)) {
    for (const index of chosenOf(values, from, to, drawable))
      push(raw, index, values[index] ?? NaN);
    if (smoothed !== undefined) push(smooth, to - 1, smoothed[to - 1] ?? NaN);
  }
  return {
    count: end - start,
    firstStep: end === start ? null : (steps[start] ?? null),
    lastStep: end === start ? null : (steps[end - 1] ?? null),
    raw,
    smooth,
    ...oddities(part),
    ...scaleOf(part, drawable, asked.clip),
    table: [...pieces(part, TABLE_ROWS)].map(([from, to]) => bucketOf(part, from, to)),
  };
};
