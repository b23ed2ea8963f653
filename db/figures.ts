/** Numbers that SQLite's REAL can't hold: NaN and the infinities are kept as their 8 bytes. */

/** As a column of type ANY takes it. */
export function encodeFigure(value: number): number | Buffer {
  if (Number.isFinite(value)) return value;
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

export const decodeFigure = (stored: unknown): number =>
  stored instanceof Uint8Array
    ? new DataView(stored.buffer, stored.byteOffset, stored.byteLength).getFloat64(0, true)
    : Number(stored);

/** As JSON takes it: a word for what JSON lacks, which `Number` turns back. */
export const wordOfFigure = (value: number): number | string =>
  Number.isFinite(value) ? value : String(value);

/** For a column of type REAL, which holds what people compare: what is not finite is left out. */
export const finiteOrNull = (value: number | null | undefined): number | null =>
  value !== null && value !== undefined && Number.isFinite(value) ? value : null;
