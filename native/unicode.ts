/** Unicode as Node knows it, as plain numbers: native programs need no tables of their own. */
const lastPoint = 0x10ffff;

function* points(): Generator<number> {
  for (let point = 0; point <= lastPoint; point++) {
    if (point < 0xd800 || point > 0xdfff) yield point; // surrogates are no characters
  }
}

/** The code points that match, as first, last, first, last, … in order. */
export function rangesOf(pattern: RegExp): number[] {
  const ranges: number[] = [];
  for (const point of points()) {
    if (!pattern.test(String.fromCodePoint(point))) continue;
    if (ranges.at(-1) === point - 1) ranges[ranges.length - 1] = point;
    else ranges.push(point, point);
  }
  return ranges;
}

/** Each code point that has a lower case, followed by what that is: by itself, without context. */
export function lowerCases(): number[][] {
  const cases: number[][] = [];
  for (const point of points()) {
    const text = String.fromCodePoint(point);
    const lower = text.toLowerCase();
    if (lower !== text) cases.push([point, ...Array.from(lower, (c) => c.codePointAt(0)!)]);
  }
  return cases;
}
