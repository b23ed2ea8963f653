/**
 * A picture at another size, in plain arithmetic, in a fixed order and in 64 bits, so that the same
 * picture makes the same bytes on every machine.
 *
 * Smaller: each pixel is the mean of the area it covers. Larger: linear between pixel centres, or
 * Catmull and Rom's cubic, which keeps edges sharper.
 */
export interface Rows {
  width: number;
  height: number;
  channels: 1 | 3;
  /** Writes row y, width × channels numbers, into the line. */
  read: (y: number, line: Float64Array) => void;
}

export type Enlargement = 'linear' | 'cubic';

/** columns × rows × channels numbers, not rounded yet. */
export function resample(
  { width, height, channels, read }: Rows,
  columns: number,
  rows: number,
  enlargement: Enlargement,
): Float64Array {
  const across = flowOf(width, columns, enlargement);
  const down = flowOf(height, rows, enlargement);
  const sums = new Float64Array(rows * columns * channels);
  const line = new Float64Array(width * channels);
  const narrow = new Float64Array(columns * channels);
  // Row by row, so that only one row of the picture is ever held as numbers.
  for (let y = 0; y < height; y++) {
    if (down.starts[y] === down.starts[y + 1]) continue;
    read(y, line);
    narrow.fill(0);
    if (channels === 3) addThree(narrow, line, across);
    else addOne(narrow, line, across);
    for (let k = down.starts[y]!; k < down.starts[y + 1]!; k++) {
      const start = down.to[k]! * narrow.length;
      const weight = down.weights[k]!;
      for (let i = 0; i < narrow.length; i++) sums[start + i]! += weight * narrow[i]!;
    }
  }
  return sums;
}

export const toByte = (value: number): number => Math.min(255, Math.max(0, Math.round(value)));

/** What flows where: of input i, entries starts[i] to starts[i + 1]. Arrays, as every pixel asks. */
interface Flow {
  starts: Int32Array;
  to: Int32Array;
  weights: Float64Array;
}

function flowOf(from: number, to: number, enlargement: Enlargement): Flow {
  const list: [to: number, weight: number][][] = Array.from({ length: from }, () => []);
  const add = (input: number, output: number, weight: number) => {
    if (weight !== 0) list[input]!.push([output, weight]);
  };
  for (let output = 0; output < to; output++) {
    if (to <= from) cover(output, from, to, add);
    else if (enlargement === 'linear') linear(output, from, to, add);
    else cubic(output, from, to, add);
  }
  const starts = new Int32Array(from + 1);
  for (const [input, entries] of list.entries())
    starts[input + 1] = starts[input]! + entries.length;
  const flat = list.flat();
  return {
    starts,
    to: Int32Array.from(flat, ([output]) => output),
    weights: Float64Array.from(flat, ([, weight]) => weight),
  };
}

type Add = (input: number, output: number, weight: number) => void;

function cover(output: number, from: number, to: number, add: Add): void {
  const start = (output * from) / to;
  const end = ((output + 1) * from) / to;
  for (let input = Math.floor(start); input < Math.min(from, Math.ceil(end)); input++) {
    const overlap = Math.min(end, input + 1) - Math.max(start, input);
    if (overlap > 0) add(input, output, overlap / (end - start));
  }
}

function linear(output: number, from: number, to: number, add: Add): void {
  const centre = Math.min(from - 1, Math.max(0, ((output + 0.5) * from) / to - 0.5));
  const left = Math.floor(centre);
  add(left, output, 1 - (centre - left));
  if (left + 1 < from) add(left + 1, output, centre - left);
}

/** Past the edge the outermost pixel goes on. */
function cubic(output: number, from: number, to: number, add: Add): void {
  const centre = ((output + 0.5) * from) / to - 0.5;
  const left = Math.floor(centre);
  const t = centre - left;
  const weights = [
    ((2 - t) * t - 1) * t * 0.5,
    ((3 * t - 5) * t * t + 2) * 0.5,
    ((4 - 3 * t) * t + 1) * t * 0.5,
    (t - 1) * t * t * 0.5,
  ];
  for (const [index, weight] of weights.entries()) {
    add(Math.min(from - 1, Math.max(0, left - 1 + index)), output, weight);
  }
}

function addOne(out: Float64Array, line: Float64Array, { starts, to, weights }: Flow): void {
  for (let x = 0; x < line.length; x++) {
    for (let k = starts[x]!; k < starts[x + 1]!; k++) out[to[k]!]! += weights[k]! * line[x]!;
  }
}

function addThree(out: Float64Array, line: Float64Array, { starts, to, weights }: Flow): void {
  for (let x = 0, at = 0; at < line.length; x++, at += 3) {
    const a = line[at]!;
    const b = line[at + 1]!;
    const c = line[at + 2]!;
    for (let k = starts[x]!; k < starts[x + 1]!; k++) {
      const start = to[k]! * 3;
      const weight = weights[k]!;
      out[start]! += weight * a;
      out[start + 1]! += weight * b;
      out[start + 2]! += weight * c;
    }
  }
}
