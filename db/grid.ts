/** A span of steps divided evenly into buckets, and what has fallen into each. */
import { addSummaries, summarize, type Columns, type Summary } from './chunks.ts';
import { lowerBound } from './series.ts';

export interface Bucket {
  /** steps that the bucket spans, both included */
  from: number;
  to: number;
  count: number;
  /** how many are NaN or infinite */
  nan: number;
  /** the values of the first and last point, whatever they are */
  first: number;
  last: number;
  /** of the finite ones; null if there are none */
  min: number | null;
  max: number | null;
  mean: number | null;
}

export class Grid {
  readonly from: number;
  readonly to: number;
  readonly #span: number;
  readonly #summaries: (Summary | undefined)[];

  constructor(from: number, to: number, wanted: number) {
    this.from = from;
    this.to = to;
    this.#span = to - from + 1;
    const size = Math.min(Math.max(1, Math.floor(wanted)), this.#span);
    this.#summaries = Array.from({ length: size }, () => undefined);
  }

  /** Steps a bucket, on average. */
  get width(): number {
    return this.#span / this.#summaries.length;
  }

  indexOf(step: number): number {
    return Math.floor(((step - this.from) * this.#summaries.length) / this.#span);
  }

  /** First and last step of a bucket. */
  stepsOf(index: number): [number, number] {
    const start = (bucket: number) =>
      this.from + Math.ceil((bucket * this.#span) / this.#summaries.length);
    return [start(index), start(index + 1) - 1];
  }

  set(index: number, summary: Summary): void {
    this.#summaries[index] = summary;
  }

  /** What comes in must be in the order of steps. */
  add(index: number, summary: Summary): void {
    const before = this.#summaries[index];
    this.#summaries[index] = before === undefined ? summary : addSummaries(before, summary);
  }

  addPoints({ steps, values }: Columns): void {
    for (let at = 0; at < steps.length;) {
      const index = this.indexOf(steps[at]!);
      const end = lowerBound(steps, this.stepsOf(index)[1] + 1);
      this.add(index, summarize(values.subarray(at, end)));
      at = end;
    }
  }

  buckets(): Bucket[] {
    return this.#summaries.flatMap((summary, index) => {
      if (summary === undefined) return [];
      const [from, to] = this.stepsOf(index);
      const { n: count, nan, first, last, min, max, sum } = summary;
      return {
        from,
        to,
        count,
        nan,
        first,
        last,
        // SQLite's REAL has no -0, so that a sealed -0 is 0 here: then so is every other.
        min: min === null ? null : min + 0,
        max: max === null ? null : max + 0,
        mean: sum === null ? null : sum / (count - nan),
      };
    });
  }
}
