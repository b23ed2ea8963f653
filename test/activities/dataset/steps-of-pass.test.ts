import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { stepsOfPass } from '../../../activities/dataset/steps-of-pass.ts';
import type { Bucket } from '../../../activities/dataset/types.ts';

const items = (bucket: Bucket, count: number, repeats = 1) =>
  Array.from({ length: count }, () => ({ bucket, repeats }));

test.each([
  ['one size', items([8, 8], 150), 16, 1, 10],
  ['one size, two micro-batches a step', items([8, 8], 150), 16, 2, 5],
  ['repeats', items([8, 8], 10, 3), 4, 1, 8],
  ['a lone picture of another size', [...items([8, 8], 16), ...items([8, 16], 1)], 16, 1, 2],
  ['two lone pictures', [...items([8, 8], 1), ...items([8, 16], 1)], 16, 1, 2],
  ['steps that end with half of their micro-batches', items([8, 8], 5), 1, 2, 3],
  ['nothing', [], 4, 1, 1],
])('%s', (_, list, batch, accumulation, steps) => {
  expect(stepsOfPass(list, batch, accumulation)).toBe(steps);
});

test('of one size it is the passes of old, but that each micro-batch is rounded up', () => {
  const positive = fc.integer({ min: 1, max: 300 });
  fc.assert(
    fc.property(positive, positive, positive, (count, batch, accumulation) => {
      const batches = Math.ceil(count / batch);
      const steps = stepsOfPass(items([8, 8], count), batch, accumulation);
      expect(steps).toBe(Math.ceil(batches / accumulation));
      expect(steps).toBe(Math.ceil(count / (batch * accumulation)));
    }),
  );
});
