import { describe, expect, test } from '@jest/globals';
import { pairSamples } from '../../dashboards/pairing.ts';
import type { ShownSample } from '../../db/pages.ts';

const sample = (id: string, changes: Partial<ShownSample> = {}): ShownSample => ({
  id,
  epoch: 1,
  step: 1,
  prompt: 'p',
  position: 0,
  text: 'cat',
  negative: '',
  seed: 7,
  sampler: 'ddim',
  steps: 20,
  guidance: 3,
  width: 32,
  height: 32,
  weights: 'ema',
  checkpoint: id,
  request: null,
  createdAt: 0,
  extra: null,
  ...changes,
});

describe('pairs', () => {
  test('are of one prompt and seed, wherever they stand', () => {
    const pairs = pairSamples(
      [sample('a1', { text: 'cat' }), sample('a2', { text: 'dog', position: 1 })],
      [sample('b2', { text: 'dog', position: 0 }), sample('b1', { text: 'cat', position: 1 })],
      [sample('z', { text: 'dog' })],
    );
    expect(pairs.map(({ a, b, zero }) => [a?.id, b?.id, zero?.id])).toEqual([
      ['a1', 'b1', undefined],
      ['a2', 'b2', 'z'],
    ]);
    expect(pairs.every(({ differs }) => differs.length === 0)).toBe(true);
  });

  test.each([
    ['seed', { seed: 8 }, 'seed (7 and 8)'],
    ['sampler', { sampler: 'dpm++2m' }, 'sampler (ddim and dpm++2m)'],
    ['steps', { steps: 30 }, 'sampling steps (20 and 30)'],
    ['guidance', { guidance: 5 }, 'guidance (3 and 5)'],
    ['size', { width: 64 }, 'size (32×32 and 64×32)'],
    ['weights', { weights: 'raw' }, 'weights (ema and raw)'],
    ['negative prompt', { negative: 'blur' }, 'negative prompt'],
    ['beginning', { extra: JSON.stringify({ picture: '/street.png' }) }, 'beginning'],
  ])('that differ in %s say so', (_part, changes, words) => {
    const [pair] = pairSamples([sample('a')], [sample('b', changes)], []);
    expect(pair?.differs).toEqual([words]);
  });

  test('prefer the true partner to a near one', () => {
    const pairs = pairSamples(
      [sample('near', { seed: 1 }), sample('true', { seed: 2 })],
      [sample('b', { seed: 2 })],
      [],
    );
    expect(pairs.map(({ a, b }) => [a?.id, b?.id])).toEqual([
      ['near', undefined],
      ['true', 'b'],
    ]);
  });

  test('are apart where one text begins from noise and from a picture', () => {
    const extra = JSON.stringify({ picture: '/pictures/street.png' });
    const side = (name: string) => [sample(`${name}0`), sample(`${name}1`, { extra })];
    const pairs = pairSamples(side('a'), side('b').toReversed(), []);
    expect(pairs.map(({ a, b, line }) => [a?.id, b?.id, line])).toEqual([
      ['a0', 'b0', 'cat'],
      ['a1', 'b1', 'cat, from street.png'],
    ]);
  });

  test('with a side missing stay, without a stand-in', () => {
    const pairs = pairSamples([sample('a', { text: 'cat' })], [sample('b', { text: 'dog' })], []);
    expect(pairs.map(({ a, b }) => [a?.id, b?.id])).toEqual([
      ['a', undefined],
      [undefined, 'b'],
    ]);
  });
});
