import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  type BucketSettings,
  bucketsOf,
  chooseBucket,
} from '../../../activities/dataset/choose-bucket.ts';
import { coveringSize } from '../../../activities/dataset/cover-bucket.ts';
import type { Bucket } from '../../../activities/dataset/types.ts';

const usual: BucketSettings = {
  resolution: 512,
  bucket_min: 256,
  bucket_max: 1024,
  bucket_step: 64,
  upscale: false,
};
const choose = (width: number, height: number, settings: BucketSettings = usual) =>
  chooseBucket(width, height, settings, bucketsOf(settings));

const settings = fc
  .record({
    bucket_step: fc.constantFrom(8, 32, 64),
    bucket_min: fc.integer({ min: 8, max: 512 }),
    resolution: fc.integer({ min: 64, max: 1536 }),
    more: fc.integer({ min: 0, max: 2048 }),
    upscale: fc.boolean(),
  })
  .map(({ more, ...rest }) => ({ ...rest, bucket_max: rest.bucket_min + more }))
  .filter((given) => bucketsOf(given).length > 0);
const side = fc.integer({ min: 1, max: 6000 });

describe('the sizes', () => {
  test('of 512² are those of kohya', () => {
    expect(bucketsOf(usual).map((bucket) => bucket.join('x'))).toEqual([
      '256x1024',
      '256x960',
      '256x896',
      '256x832',
      '320x768',
      '320x704',
      '384x640',
      '448x576',
      '512x512',
      '576x448',
      '640x384',
      '704x320',
      '768x320',
      '832x256',
      '896x256',
      '960x256',
      '1024x256',
    ]);
  });
  test('have a square, also if the resolution is no multiple of the step', () => {
    expect(bucketsOf({ ...usual, resolution: 500 })).toContainEqual([448, 448]);
  });
  test('are multiples of the step within their bounds, and each has its mirror image', () => {
    fc.assert(
      fc.property(settings, (given) => {
        const buckets = bucketsOf(given);
        const names = new Set(buckets.map(String));
        for (const [width, height] of buckets) {
          expect([width % given.bucket_step, height % given.bucket_step]).toEqual([0, 0]);
          expect(Math.min(width, height)).toBeGreaterThanOrEqual(given.bucket_min);
          expect(Math.max(width, height)).toBeLessThanOrEqual(given.bucket_max);
          expect(width * height).toBeLessThanOrEqual(given.resolution ** 2);
          expect(names.has(String([height, width]))).toBe(true);
        }
      }),
    );
  });
});

describe('the bucket of a picture', () => {
  test.each([
    [4000, 3000, [576, 448]],
    [3000, 4000, [448, 576]],
    [512, 512, [512, 512]],
    [511, 511, [448, 448]],
    [400, 300, [384, 256]],
    [1920, 1080, [640, 384]],
    [5000, 1000, [1024, 256]],
  ])('of %i × %i is %j', (width, height, bucket) => {
    expect(choose(width, height)).toEqual(bucket);
  });

  test('with upscale, a small one gets the bucket of a large one', () => {
    expect(choose(40, 30, { ...usual, upscale: true })).toEqual(choose(4000, 3000));
  });

  test.each([
    [300, 255, 'too-small', 'it has 300 × 255 pixels; the smallest bucket here'],
    [1, 5000, 'aspect', 'it has 1 × 5000 pixels, and only 0 % of it would be seen'],
    [1000, 100, 'aspect', 'and only 40 % of it would be seen in the nearest bucket, 1024 × 256'],
  ])('of %i × %i is none: %s', (width, height, kind, detail) => {
    expect(choose(width, height)).toEqual({ kind, detail: expect.stringContaining(detail) });
  });

  const ask = (width: number, height: number, given: BucketSettings): Bucket | undefined => {
    const bucket = choose(width, height, given);
    return 'kind' in bucket ? undefined : bucket;
  };

  test('is within all bounds, and the picture covers it when it is scaled', () => {
    fc.assert(
      fc.property(side, side, settings, (width, height, given) => {
        const bucket = ask(width, height, given);
        if (bucket === undefined) return;
        for (const length of bucket) {
          expect(length % given.bucket_step).toBe(0);
          expect(length).toBeGreaterThanOrEqual(given.bucket_min);
          expect(length).toBeLessThanOrEqual(given.bucket_max);
        }
        expect(bucket[0] * bucket[1]).toBeLessThanOrEqual(given.resolution ** 2);
        const stored = coveringSize(width, height, bucket);
        expect(stored.width).toBeGreaterThanOrEqual(bucket[0]);
        expect(stored.height).toBeGreaterThanOrEqual(bucket[1]);
        const scale = Math.max(bucket[0] / width, bucket[1] / height);
        expect(Math.abs(stored.width - width * scale)).toBeLessThanOrEqual(0.5 + 1e-6);
        expect(Math.abs(stored.height - height * scale)).toBeLessThanOrEqual(0.5 + 1e-6);
        expect(stored.width === bucket[0] || stored.height === bucket[1]).toBe(true);
        // At least half is seen, but for what rounding to whole pixels costs.
        const seen = (bucket[0] * bucket[1]) / (stored.width * stored.height);
        expect(seen).toBeGreaterThan(0.2);
        if (given.upscale) return;
        expect(stored.width).toBeLessThanOrEqual(width);
        expect(stored.height).toBeLessThanOrEqual(height);
      }),
      { numRuns: 500 },
    );
  });

  test('is no other than the nearest where the picture is large', () => {
    fc.assert(
      fc.property(side, side, settings, (width, height, given) => {
        const bucket = ask(width * 64, height * 64, { ...given, upscale: true });
        if (bucket === undefined) return;
        const apart = ([w, h]: Bucket) => {
          const ratio = (width * h) / (height * w);
          return Math.max(ratio, 1 / ratio);
        };
        for (const other of bucketsOf(given)) {
          expect(apart(bucket)).toBeLessThanOrEqual(apart(other) * (1 + 1e-12));
        }
      }),
    );
  });

  test('never shrinks when the picture grows', () => {
    fc.assert(
      fc.property(
        side,
        side,
        fc.integer({ min: 2, max: 5 }),
        settings,
        (width, height, times, given) => {
          const [small, large] = [1, times].map((by) => ask(width * by, height * by, given));
          if (small === undefined) return;
          expect(large![0]).toBeGreaterThanOrEqual(small[0]);
          expect(large![1]).toBeGreaterThanOrEqual(small[1]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('never gets narrower in aspect when an enlarged picture gets wider', () => {
    fc.assert(
      fc.property(side, side, side, settings, (width, more, height, given) => {
        const upscale = { ...given, upscale: true };
        const [narrow, wide] = [width, width + more].map((by) => ask(by, height, upscale));
        if (narrow === undefined || wide === undefined) return;
        expect(wide[0] / wide[1]).toBeGreaterThanOrEqual(narrow[0] / narrow[1]);
      }),
    );
  });
});
