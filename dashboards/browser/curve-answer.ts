/** What the server says of a curve; see `routes/run.ts`. */
export interface CurveAnswer {
  readonly count: number;
  readonly firstStep: number | null;
  readonly lastStep: number | null;
  readonly raw: { steps: number[]; x: number[]; values: (number | null)[] };
  readonly smooth: { steps: number[]; x: number[]; values: (number | null)[] };
  readonly nan: { step: number; x: number }[];
  readonly nanCount: number;
  readonly notPositive: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly clipped: number;
  readonly table: {
    from: number;
    to: number;
    count: number;
    mean: number | null;
    min: number | null;
    max: number | null;
    last: number | null;
    nan: number;
  }[];
  readonly marks: { step: number; x: number; kind: string; message: string }[];
  readonly axis: string;
  readonly stepsPerEpoch: number | null;
}
