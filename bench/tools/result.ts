/** What a benchmark found, as a table for people and as a line for programs. */
import { availableParallelism, arch, cpus, platform, totalmem } from 'node:os';

/** One line of the table: also what was measured on the way and decides nothing. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  note?: string;
}

export interface BenchResult {
  bench: string;
  ours: number;
  /** the best of the peers; null where there is none to measure against */
  peer: number | null;
  unit: string;
  better: 'more' | 'less';
  /** what this project wants to hold: at least this ratio, or at most this much of `unit` */
  goal?: { ratio?: number; atMost?: number };
  figures: readonly Figure[];
}

/** A benchmark is a file of bench/ that exports this. */
export type Run = (args: string[]) => Promise<BenchResult[]>;

/** Above 1 is better than the peer, whichever way the unit counts. */
export function ratioOf({ ours, peer, better }: BenchResult): number | null {
  if (peer === null) return null;
  return better === 'more' ? ours / peer : peer / ours;
}

export function holds(result: BenchResult): boolean {
  const { ratio: atLeast, atMost } = result.goal ?? {};
  const ratio = ratioOf(result);
  return (
    (atLeast === undefined || (ratio !== null && ratio >= atLeast)) &&
    (atMost === undefined || result.ours <= atMost)
  );
}

/** One JSON object on one line, with the same keys for every benchmark. */
export function lineOf(result: BenchResult): string {
  const { bench, ours, peer, unit } = result;
  const ratio = ratioOf(result);
  return JSON.stringify({
    bench,
    ours: short(ours),
    peer: peer === null ? null : short(peer),
    ratio: ratio === null ? null : short(ratio),
    unit,
    machine: machine(),
  });
}

export function tableOf(result: BenchResult): string {
  const rows = result.figures.map(({ name, value, unit, note }) => [
    name,
    value.toLocaleString('en', { maximumSignificantDigits: 4 }),
    unit,
    note ?? '',
  ]);
  const width = (column: number) => Math.max(...rows.map((row) => row[column]!.length));
  const lines = rows.map(([name, value, unit, note]) =>
    `  ${name!.padEnd(width(0))}  ${value!.padStart(width(1))} ${unit!.padEnd(width(2))}  ${note}`.trimEnd(),
  );
  return [result.bench, ...lines, ...verdictOf(result)].join('\n');
}

function verdictOf(result: BenchResult): string[] {
  const { goal, unit } = result;
  const ratio = ratioOf(result);
  const lines = ratio === null ? [] : [`  ${short(ratio)} × the peer`];
  if (goal === undefined) return lines;
  const wanted = [
    ...(goal.ratio === undefined ? [] : [`at least ${goal.ratio} × the peer`]),
    ...(goal.atMost === undefined ? [] : [`at most ${goal.atMost} ${unit}`]),
  ];
  return [...lines, `  goal: ${wanted.join(', ')}: ${holds(result) ? 'held' : 'MISSED'}`];
}

const short = (value: number): number => Number(value.toPrecision(4));

export function machine(): string {
  const model = cpus()[0]?.model.trim() || 'unknown CPU';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${model}, ${availableParallelism()} cores, ${memory} GiB, ${platform()} ${arch()}, Node ${process.versions.node}`;
}
