import { describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import {
  manifestOf,
  maskOf,
  type Paint,
  pixelsOf,
  problemsOf,
  smallBuckets,
  useFolder,
} from './use-folder.ts';

const { file, paint, prepare, write, path } = useFolder();
const plain =
  (...colour: number[]): Paint =>
  () =>
    colour;
/** Left dark, right light. */
const halves =
  (width: number): Paint =>
  (x) =>
    x < width / 2 ? [10, 10, 10] : [240, 240, 240];

const allSizes = { ...smallBuckets, default_caption: 'x' };

describe('buckets', () => {
  test('every picture once, at its own size, or left out and named', async () => {
    await paint('a-wide.png', 96, 48, halves(96));
    await paint('b-high.png', 48, 96, plain(1, 2, 3));
    await paint('c-square.jpg', 40, 40, plain(9, 9, 9));
    await paint('d-small.png', 20, 17, plain(7, 7, 7));
    await paint('e-tiny.png', 15, 30, plain(6, 6, 6));
    await paint('f-line.png', 1, 500, plain(5, 5, 5));
    const set = await prepare(allSizes);
    expect(
      set.items.map(({ file, width, height, bucket }) => [file, width, height, ...bucket]),
    ).toEqual([
      ['a-wide.png', 48, 24, 40, 24],
      ['b-high.png', 24, 48, 24, 40],
      ['c-square.jpg', 32, 32, 32, 32],
      ['d-small.png', 19, 16, 16, 16],
    ]);
    expect(problemsOf(set)).toEqual(['e-tiny.png too-small', 'f-line.png aspect']);
    expect(set).toMatchObject({ shapes: 4, trainItems: 4 });
    const { train, pixels_sha256: hash } = manifestOf(set);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    let end = 0;
    for (const { offset, width, height } of train) {
      expect(offset).toBe(end);
      end += width * height * 3;
    }
    expect((await stat(join(dirname(set.manifest), 'pixels.u8'))).size).toBe(end);
    const wide = pixelsOf(set, set.items[0]!);
    expect([wide[0], wide[47 * 3]]).toEqual([10, 240]);
  });

  test('an enlarged picture keeps its colours', async () => {
    await paint('a.png', 8, 8, halves(8));
    const set = await prepare({ ...allSizes, upscale: true });
    const [item] = set.items;
    expect(item).toMatchObject({ width: 32, height: 32, bucket: [32, 32] });
    const pixels = pixelsOf(set, item!);
    expect([pixels[0], pixels[31 * 3]]).toEqual([10, 240]);
  });

  test('the cubic does not run over where it overshoots', async () => {
    await paint('a.png', 8, 8, (x) => (x < 4 ? [0, 0, 0] : [255, 255, 255]));
    const set = await prepare({ ...allSizes, upscale: true });
    const row = [...pixelsOf(set, set.items[0]!)].slice(0, 32 * 3);
    expect(row).toEqual(row.toSorted((a, b) => a - b));
    expect([row[0], row.at(-1)]).toEqual([0, 255]);
  });

  test('CMYK, 16 bits, the first frame of animations, and a turn by EXIF', async () => {
    await paint('cmyk.jpg', 32, 32, plain(200, 30, 30), (p) =>
      p.toColourspace('cmyk').jpeg({ quality: 100, chromaSubsampling: '4:4:4' }),
    );
    await paint('deep.png', 32, 32, plain(128, 64, 32), (p) => p.toColourspace('rgb16').png());
    const frame = (value: number) =>
      sharp({ create: { width: 32, height: 32, channels: 3, background: grey(value) } })
        .png()
        .toBuffer();
    const frames = [await frame(50), await frame(200)];
    await sharp(frames, { join: { animated: true } })
      .gif()
      .toFile(file('moving.gif'));
    await sharp([await frame(80), await frame(200)], { join: { animated: true } })
      .webp({ lossless: true })
      .toFile(file('moving.webp'));
    await paint('turned.jpg', 80, 40, halves(80), (p) =>
      p.jpeg({ quality: 100 }).withMetadata({ orientation: 6 }),
    );
    expect((await sharp(file('cmyk.jpg')).metadata()).space).toBe('cmyk');
    expect((await sharp(file('deep.png')).metadata()).depth).toBe('ushort');
    expect((await sharp(file('moving.gif')).metadata()).pages).toBe(2);
    const set = await prepare(allSizes);
    expect(set.problems).toEqual([]);
    const first = Object.fromEntries(
      set.items.map((item) => [item.file, [...pixelsOf(set, item).subarray(0, 3)]]),
    );
    expect(first['deep.png']).toEqual([128, 64, 32]);
    expect(first['moving.gif']).toEqual([50, 50, 50]);
    expect(first['moving.webp']).toEqual([80, 80, 80]);
    expect(first['cmyk.jpg']![0]).toBeGreaterThan(150); // through a profile, not to the digit
    expect(first['cmyk.jpg']![1]).toBeLessThan(90);
    const turned = set.items.find((item) => item.file === 'turned.jpg')!;
    expect(turned).toMatchObject({ width: 24, height: 48, bucket: [24, 40] });
    const pixels = pixelsOf(set, turned);
    expect(pixels[0]).toBeLessThan(30); // what was left is at the top
    expect(pixels[(47 * 24 + 12) * 3]).toBeGreaterThan(220);
  });

  const grey = (value: number) => ({ r: value, g: value, b: value });
});

describe('masks', () => {
  const whiteRight: Paint = (x) => (x < 16 ? [0, 0, 0] : [255, 255, 255]);

  test('the alpha channel; an opaque picture has none', async () => {
    await paint('a.png', 32, 32, (x) => [9, 9, 9, x < 16 ? 0 : 255]);
    await paint('b.png', 32, 32, plain(8, 8, 8, 255));
    const set = await prepare({ ...allSizes, masks: 'alpha' });
    const [a, b] = set.items;
    expect(maskOf(set, a!)![5]!.slice(14, 18)).toEqual([0, 0, 255, 255]);
    expect(maskOf(set, b!)).toBeUndefined();
    const manifest = manifestOf(set);
    expect(manifest).toMatchObject({ masks: 'masks.u8', train: [{ mask_offset: 0 }, {}] });
    expect(Object.keys(manifest.train[1]!)).not.toContain('mask_offset');
  });

  test('a file beside the picture, or in a folder; never a picture itself', async () => {
    await paint('a.jpg', 32, 32, plain(1, 1, 1));
    await paint('a-masklabel.png', 32, 32, whiteRight);
    await paint('sub/b.jpg', 32, 32, plain(60, 1, 1));
    await paint('masks/sub/b.png', 32, 32, whiteRight, (p) => p.toColourspace('rgb16').png());
    await paint('c.jpg', 32, 32, plain(1, 90, 1));
    await paint('d-masklabel.png', 32, 32, plain(3, 200, 3)); // of no picture: one itself
    const folder = { masks: 'folder', mask_folder: file('masks') } as const;
    const set = await prepare({ ...allSizes, ...folder });
    expect(set.items.map((item) => [item.file, maskOf(set, item)?.[0]?.[20]])).toEqual([
      ['a.jpg', 255],
      ['c.jpg', undefined],
      ['d-masklabel.png', undefined],
      ['sub/b.jpg', 255],
    ]);
    expect(maskOf(set, set.items[3]!)![0]![3]).toBe(0);
    const without = await prepare(allSizes);
    expect(without.items.map((item) => item.file)).toEqual([
      'a.jpg',
      'c.jpg',
      'd-masklabel.png',
      'masks/sub/b.png',
      'sub/b.jpg',
    ]);
    expect(manifestOf(without).masks).toBeUndefined();
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'it is turned, scaled and stored with its picture: orientation %i',
    async (orientation) => {
      // The mask is the picture's own red: where one is, the other is.
      const spot: Paint = (x, y) => (x < 16 && y < 8 ? [255, 0, 0] : [0, 0, 0]);
      await paint('a.png', 64, 48, spot, (p) => p.withMetadata({ orientation }).png());
      await paint('a-masklabel.png', 64, 48, (x, y) => {
        const [red = 0] = spot(x, y);
        return [red, red, red];
      });
      const set = await prepare({ ...allSizes, masks: 'folder' });
      const [item] = set.items;
      expect(set.problems).toEqual([]);
      const red = [...pixelsOf(set, item!)].filter((_, at) => at % 3 === 0);
      expect(maskOf(set, item!)!.flat()).toEqual(red);
      expect(new Set(red).size).toBeGreaterThan(1);
    },
  );

  test('one that was drawn on the picture as it is shown is taken as it is', async () => {
    await paint(
      'a.png',
      64,
      48,
      (x) => (x < 16 ? [255, 0, 0] : [0, 0, 0]),
      (p) => p.withMetadata({ orientation: 6 }).png(),
    );
    await paint('a-masklabel.png', 48, 64, (_, y) => (y < 16 ? [255, 255, 255] : [0, 0, 0]));
    const set = await prepare({ ...allSizes, masks: 'folder' });
    const red = [...pixelsOf(set, set.items[0]!)].filter((_, at) => at % 3 === 0);
    expect(maskOf(set, set.items[0]!)!.flat()).toEqual(red);
  });

  test('in a square, what is beside the picture is not trained', async () => {
    await paint('a.png', 32, 16, (x) => [9, 9, 9, x < 16 ? 100 : 255]);
    const set = await prepare({ resolution: 32, default_caption: 'x', masks: 'alpha' });
    const mask = maskOf(set, set.items[0]!)!;
    expect([mask[0]![20], mask[12]![4], mask[12]![20]]).toEqual([0, 100, 255]);
  });

  test('of another size, or unreadable: the picture is left out, and another such is not', async () => {
    await paint('a.png', 32, 32, plain(1, 1, 1));
    await paint('a-masklabel.png', 32, 31, whiteRight);
    await paint('b.png', 32, 32, plain(2, 2, 2));
    write('b-masklabel.png', 'nothing');
    await paint('c.png', 32, 32, plain(3, 3, 3));
    const set = await prepare({ ...allSizes, masks: 'folder' });
    expect(problemsOf(set)).toEqual(['a.png mask-size', 'b.png mask-unreadable']);
    expect(set.problems[0]!.detail).toBe('it has 32 × 32 pixels, and its mask 32 × 31');
    expect(set.trainItems).toBe(1);
  });

  test('a damaged mask is noticed, and the set made anew', async () => {
    await paint('a.png', 32, 32, (x) => [9, 9, 9, x < 16 ? 0 : 255]);
    const first = await prepare({ ...allSizes, masks: 'alpha' });
    const masks = join(dirname(first.manifest), 'masks.u8');
    const good = readFileSync(masks);
    expect((await prepare({ ...allSizes, masks: 'alpha' })).reused).toBe(true);
    writeFileSync(masks, Buffer.alloc(good.length));
    const again = await prepare({ ...allSizes, masks: 'alpha' });
    expect(again).toMatchObject({ reused: false, hash: first.hash });
    expect(readFileSync(masks)).toEqual(good);
  });

  test('a folder of masks that is not there', async () => {
    await paint('a.png', 32, 32, plain(1, 1, 1));
    const folder = { masks: 'folder', mask_folder: path('none') } as const;
    await expect(prepare({ ...allSizes, ...folder })).rejects.toMatchObject({
      code: 'DATA_FOLDER_MISSING',
      hint: expect.stringContaining('data.mask_folder'),
    });
  });
});
