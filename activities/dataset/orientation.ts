/** Turns what is stored into what is shown: EXIF's eight orientations, one byte a pixel. */
export function turn(
  bytes: Uint8Array,
  width: number,
  height: number,
  orientation: number,
): Uint8Array {
  if (orientation <= 1 || orientation > 8) return bytes;
  const out = new Uint8Array(bytes.length);
  const columns = orientation >= 5 ? height : width;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = place(x, y, width - 1, height - 1, orientation);
      out[row * columns + column] = bytes[y * width + x]!;
    }
  }
  return out;
}

/** Where a stored pixel is shown. */
function place(
  x: number,
  y: number,
  right: number,
  bottom: number,
  orientation: number,
): [column: number, row: number] {
  switch (orientation) {
    case 2:
      return [right - x, y];
    case 3:
      return [right - x, bottom - y];
    case 4:
      return [x, bottom - y];
    case 5:
      return [y, x];
    case 6:
      return [bottom - y, x];
    case 7:
      return [bottom - y, right - x];
    default:
      return [y, right - x];
  }
}
