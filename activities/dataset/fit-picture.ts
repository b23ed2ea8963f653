/**
 * A picture on its background, fitted into a square and centred. In plain arithmetic, in a fixed
 * order and in 64 bits, so that the same picture makes the same bytes on every machine.
 *
 * Smaller: each pixel is the mean of the area it covers. Larger: linear between pixel centres.
 */
export interface Rgb {
  r: number;
  g: number;
  b: number;
}

export function parseColour(text: string): Rgb {
  const value = Number.parseInt(text.slice(1), 16);
  return { r: value >> 16, g: (value >> 8) & 255, b: value & 255 };
}

/** Pixels of `side` × `side` × 3 bytes. */
export function fitPicture(
  { width, height, rgba }: { width: number; height: number; rgba: Uint8Array },
  side: number,
  background: Rgb,
): Uint8Array {
  const scale = side / Math.max(width, height);
  const columns = Math.max(1, Math.round(width * scale));
  const rows = Math.max(1, Math.round(height * scale));
  const across = contributions(width, columns);
  const down = contributions(height, rows);
  const sums = new Float64Array(rows * columns * 3);
  const line = new Float64Array(width * 3);
  const narrow = new Float64Array(columns * 3);
  // Row by row, so that only one row of the picture is ever held as numbers.
  for (let y = 0; y < height; y++) {
    flattenRow(rgba, y * width * 4, line, background);
    narrow.fill(0);
    for (let x = 0; x < width; x++) addWeighted(narrow, line, x, across[x]!);
    for (const { to, weight } of down[y]!) {
      const start = to * columns * 3;
      for (let i = 0; i < narrow.length; i++) sums[start + i]! += weight * narrow[i]!;
    }
  }
  return centred(sums, columns, rows, side, background);
}

interface Contribution {
  to: number;
  weight: number;
}

/** For each input position: the output positions it flows into, and with what weight. */
function contributions(from: number, to: number): Contribution[][] {
  const list: Contribution[][] = Array.from({ length: from }, () => []);
  const add = (input: number, output: number, weight: number) => {
    if (weight > 0) list[input]!.push({ to: output, weight });
  };
  for (let output = 0; output < to; output++) {
    if (to <= from) {
      const start = (output * from) / to;
      const end = ((output + 1) * from) / to;
      for (let input = Math.floor(start); input < Math.min(from, Math.ceil(end)); input++) {
        const overlap = Math.min(end, input + 1) - Math.max(start, input);
        add(input, output, overlap / (end - start));
      }
    } else {
      const centre = Math.min(from - 1, Math.max(0, ((output + 0.5) * from) / to - 0.5));
      const left = Math.floor(centre);
      add(left, output, 1 - (centre - left));
      if (left + 1 < from) add(left + 1, output, centre - left);
    }
  }
  return list;
}

function flattenRow(rgba: Uint8Array, start: number, line: Float64Array, { r, g, b }: Rgb): void {
  for (let i = 0, at = start; i < line.length; i += 3, at += 4) {
    const alpha = rgba[at + 3]! / 255;
    line[i] = rgba[at]! * alpha + r * (1 - alpha);
    line[i + 1] = rgba[at + 1]! * alpha + g * (1 - alpha);
    line[i + 2] = rgba[at + 2]! * alpha + b * (1 - alpha);
  }
}

function addWeighted(out: Float64Array, line: Float64Array, x: number, list: Contribution[]): void {
  for (const { to, weight } of list) {
    out[to * 3]! += weight * line[x * 3]!;
    out[to * 3 + 1]! += weight * line[x * 3 + 1]!;
    out[to * 3 + 2]! += weight * line[x * 3 + 2]!;
  }
}

function centred(
  sums: Float64Array,
  columns: number,
  rows: number,
  side: number,
  { r, g, b }: Rgb,
): Uint8Array {
  const out = new Uint8Array(side * side * 3);
  for (let i = 0; i < out.length; i += 3) out.set([r, g, b], i);
  const left = Math.floor((side - columns) / 2);
  const top = Math.floor((side - rows) / 2);
  for (let y = 0; y < rows; y++) {
    const start = ((top + y) * side + left) * 3;
    for (let i = 0; i < columns * 3; i++) {
      out[start + i] = Math.min(255, Math.max(0, Math.round(sums[y * columns * 3 + i]!)));
    }
  }
  return out;
}
