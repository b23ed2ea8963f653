import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseColour } from '../../../activities/dataset/colours.ts';
import { fitPicture } from '../../../activities/dataset/fit-picture.ts';

const white = parseColour('#ffffff');
const picture = (width: number, height: number, at: (x: number, y: number) => number[]) => ({
  width,
  height,
  rgba: Uint8Array.from(
    Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width))).flat(),
  ),
});

describe('fitting', () => {
  test('half the size is the mean of four', () => {
    const out = fitPicture(
      picture(4, 4, (x, y) => [x * 10, y * 10, x + y, 255]),
      2,
      white,
    );
    expect([...out]).toEqual([5, 5, 1, 25, 5, 3, 5, 25, 3, 25, 25, 5]);
  });
  test('the same size is the same picture', () => {
    const source = picture(3, 3, (x, y) => [x * 20, y * 30, 7, 255]);
    const rgb = [...source.rgba].filter((_, index) => index % 4 !== 3);
    expect([...fitPicture(source, 3, white)]).toEqual(rgb);
  });
  test('a wide one is centred on the background', () => {
    const out = fitPicture(
      picture(4, 2, () => [0, 0, 0, 255]),
      4,
      parseColour('#010203'),
    );
    expect([...out.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect([...out.subarray(12, 15)]).toEqual([0, 0, 0]);
    expect([...out.subarray(36, 39)]).toEqual([1, 2, 3]);
  });
  test('a very thin one keeps a line', () => {
    const out = fitPicture(
      picture(1000, 1, () => [0, 0, 0, 255]),
      8,
      white,
    );
    expect([...out].filter((value) => value === 0)).toHaveLength(8 * 3);
  });
  test('one colour stays that colour at any size, larger or smaller', () => {
    const side = fc.integer({ min: 1, max: 40 });
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(side, side, byte, (width, to, value) => {
        const out = fitPicture(
          picture(width, width, () => [value, value, value, 255]),
          to,
          white,
        );
        expect(new Set(out)).toEqual(new Set([value]));
      }),
    );
  });
  test('a smaller one keeps the mean', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 256, maxLength: 256 }),
        fc.integer({ min: 1, max: 15 }),
        (values, to) => {
          const source = picture(16, 16, (x, y) => [values[y * 16 + x]!, 0, 0, 255]);
          const mean = (bytes: number[]) =>
            bytes.reduce((sum, value) => sum + value, 0) / bytes.length;
          const red = [...fitPicture(source, to, white)].filter((_, index) => index % 3 === 0);
          expect(Math.abs(mean(red) - mean([...values]))).toBeLessThanOrEqual(0.5);
        },
      ),
    );
  });
});
