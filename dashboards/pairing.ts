/**
 * Which picture of A belongs beside which of B. Two pictures are comparable when everything but the
 * checkpoint is equal; where it is not, the pair is still shown if the prompt is the same, and the
 * parts that differ are named. Never the nearest epoch in the place of a missing one.
 */
import { beginningOf, promptLine } from '../db/beginnings.ts';
import type { ShownSample } from '../db/pages.ts';

export interface Pair {
  readonly text: string;
  readonly negative: string;
  /** the prompt with what it begins from */
  readonly line: string;
  readonly a: ShownSample | undefined;
  readonly b: ShownSample | undefined;
  /** The same prompt made by the untouched base, of B's run. */
  readonly zero: ShownSample | undefined;
  /** Parts of the identity that differ, in words; empty for a true pair. */
  readonly differs: readonly string[];
}

const parts: readonly [string, (sample: ShownSample) => string | number][] = [
  ['negative prompt', (sample) => sample.negative],
  ['seed', (sample) => sample.seed],
  ['sampler', (sample) => sample.sampler],
  ['sampling steps', (sample) => sample.steps],
  ['guidance', (sample) => sample.guidance],
  ['size', (sample) => `${sample.width}×${sample.height}`],
  ['weights', (sample) => sample.weights],
  ['beginning', beginningOf],
];
/** Parts that are too long to be shown. */
const unsaid = new Set(['negative prompt', 'beginning']);

const differences = (a: ShownSample, b: ShownSample): string[] =>
  parts
    .filter(([, part]) => part(a) !== part(b))
    .map(([name, part]) => (unsaid.has(name) ? name : `${name} (${part(a)} and ${part(b)})`));

/** The candidate of the same prompt that differs from the sample in the fewest parts. */
const nearest = (
  sample: ShownSample,
  candidates: Iterable<ShownSample>,
): ShownSample | undefined => {
  let best: ShownSample | undefined;
  let fewest = Infinity;
  for (const candidate of candidates) {
    if (candidate.text !== sample.text) continue;
    const count = differences(sample, candidate).length;
    if (count < fewest) [best, fewest] = [candidate, count];
  }
  return best;
};

const same = (sample: ShownSample, candidates: Iterable<ShownSample>): ShownSample | undefined => {
  const candidate = nearest(sample, candidates);
  return candidate !== undefined && differences(sample, candidate).length === 0
    ? candidate
    : undefined;
};

export const pairSamples = (
  a: readonly ShownSample[],
  b: readonly ShownSample[],
  zero: readonly ShownSample[],
): Pair[] => {
  const left = new Set(b);
  const partners = new Map<ShownSample, ShownSample>();
  // True pairs first, so that a near one never takes the partner of a true one.
  for (const find of [same, nearest]) {
    for (const sample of a) {
      if (partners.has(sample)) continue;
      const partner = find(sample, left);
      if (partner === undefined) continue;
      partners.set(sample, partner);
      left.delete(partner);
    }
  }
  const pair = (one: ShownSample | undefined, other: ShownSample | undefined): Pair => {
    const known = other ?? one;
    if (known === undefined) throw new Error('a pair needs a side');
    return {
      text: known.text,
      negative: known.negative,
      line: promptLine(known),
      a: one,
      b: other,
      zero: same(known, zero),
      differs: one !== undefined && other !== undefined ? differences(one, other) : [],
    };
  };
  return [
    ...a.map((sample) => pair(sample, partners.get(sample))),
    ...[...left].map((sample) => pair(undefined, sample)),
  ];
};
