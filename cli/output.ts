/** What commands print: tables for people, JSON for programs. */

export const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** NaN and infinities, which JSON lacks, are the words that the trainer protocol uses. */
export const printJson = (value: unknown): void =>
  print(
    JSON.stringify(
      value,
      (_key, inner: unknown) =>
        typeof inner === 'number' && !Number.isFinite(inner) ? String(inner) : inner,
      2,
    ),
  );

/** Columns as wide as their widest cell; figures to the right where the heading says so (`>loss`). */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = headings.map((heading) => heading.startsWith('>'));
  const all = [headings.map((heading) => heading.replace(/^>/, '')), ...rows];
  const widths = headings.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? '').length)),
  );
  return all
    .map((row) =>
      widths
        .map((width, column) => {
          const cell = row[column] ?? '';
          return right[column] === true ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
