/** Unicode as Node knows it, as plain numbers: native programs need no tables of their own. */
const lastPoint = 0x10ffff;

/** The code points that match, as first, last, first, last, … in order. */
export function rangesOf(pattern: RegExp): number[] {
  const ranges: number[] = [];
  for (let point = 0; point <= lastPoint; point++) {
    if (!pattern.test(String.fromCodePoint(point))) continue;
    if (ranges.at(-1) === point - 1) ranges[ranges.length - 1] = point;
    else ranges.push(point, point);
  }
  return ranges;
}

/** Each code point that has a lower case, followed by what that is: by itself, without context. */
export function lowerCases(): number[][] {
  const cases: number[][] = [];
  for (let point = 0; point <= lastPoint; point++) {
    const text = String.fromCodePoint(point);
    const lower = text.toLowerCase();
    if (lower !== text) cases.push([point, ...Array.from(lower, (c) => c.codePointAt(0)!)]);
  }
  return cases;
}
