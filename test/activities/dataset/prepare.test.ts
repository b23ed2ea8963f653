import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { prepareDataset, type PrepareOptions } from '../../../activities/dataset/prepare.ts';
import type { Manifest } from '../../../activities/dataset/types.ts';
import type { DataSettings } from '../../../recipes/schema.ts';
import { dataSettings } from './settings.ts';

let root: string;
let folder: string;
let datasetsFolder: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tiller-dataset-'));
  folder = join(root, 'pictures');
  datasetsFolder = join(root, 'datasets');
  mkdirSync(folder);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const prepare = (
  data: Partial<DataSettings> = {},
  options: Partial<Omit<PrepareOptions, 'data'>> = {},
) =>
  prepareDataset({
    data: dataSettings({ folder, resolution: 8, validation_share: 0, ...data }),
    seed: 42,
    datasetsFolder,
    ...options,
  });

interface Colour {
  r: number;
  g: number;
  b: number;
  alpha?: number;
}

const plain = (colour: Colour, width = 8, height = 8) =>
  sharp({
    create: { width, height, channels: colour.alpha === undefined ? 3 : 4, background: colour },
  });

async function add(name: string, colour: Colour, caption: string | Buffer | null = 'a colour') {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  await plain(colour).toFile(path);
  if (caption !== null) writeFileSync(path.replace(/\.\w+$/, '.txt'), caption);
}

const grey = (value: number): Colour => ({ r: value, g: value, b: value });

/** A PNG whose header claims a size that its data does not have. */
function pngOfSize(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = chunk('IDAT', deflateSync(Buffer.alloc(64)));
  return Buffer.concat([signature, chunk('IHDR', header), data, chunk('IEND', Buffer.alloc(0))]);
}

const readManifest = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Manifest;
const readPixels = (manifest: string) => readFileSync(join(dirname(manifest), 'pixels.u8'));

describe('a folder of pictures', () => {
  test('becomes pixels and a manifest, in order of name', async () => {
    await add('b.png', grey(20), 'dark');
    await add('a.png', grey(200), '  light\n grey ');
    await add('deep/c.jpg', grey(100), 'middle');
    const set = await prepare();
    expect(set.problems).toEqual([]);
    expect(set).toMatchObject({ trainItems: 3, validationItems: 0, problemCounts: {} });
    expect(set.items.map(({ file, captions }) => [file, captions[0]?.text])).toEqual([
      ['a.png', 'light grey'],
      ['b.png', 'dark'],
      ['deep/c.jpg', 'middle'],
    ]);
    const manifest = readManifest(set.manifest);
    expect(manifest).toMatchObject({
      version: 2,
      hash: set.hash,
      channels: 3,
    });
    expect(manifest.masks).toBeUndefined();
    expect(manifest.train[1]).toEqual({
      key: set.items[1]!.key,
      file: 'b.png',
      width: 8,
      height: 8,
      bucket: [8, 8],
      offset: 192,
      repeats: 1,
      regularisation: false,
      captions: [{ text: 'dark', weight: 1 }],
    });
    expect(manifest.train.map(({ key }) => key)).toEqual(set.items.map(({ key }) => key));
    const pixels = readPixels(set.manifest);
    expect(pixels).toHaveLength(3 * 8 * 8 * 3);
    expect([...pixels.subarray(0, 3)]).toEqual([200, 200, 200]);
    expect([...pixels.subarray(192, 195)]).toEqual([20, 20, 20]);
  });

  test('transparent, grey, palette and 16-bit pictures become 8-bit sRGB on the background', async () => {
    await add('clear.png', { r: 255, g: 0, b: 0, alpha: 0 });
    await add('half.png', { r: 255, g: 0, b: 0, alpha: 0.5 });
    await plain(grey(120)).toColourspace('b-w').png().toFile(join(folder, 'grey.png'));
    await plain({ r: 0, g: 0, b: 255 }).png({ palette: true }).toFile(join(folder, 'palette.png'));
    await plain(grey(128)).toColourspace('rgb16').png().toFile(join(folder, 'sixteen.png'));
    for (const name of ['grey', 'palette', 'sixteen'])
      writeFileSync(join(folder, `${name}.txt`), name);
    const set = await prepare({ background: '#00ff00' });
    expect(set.problems).toEqual([]);
    const pixels = readPixels(set.manifest);
    const first = set.items.map(({ position }) => [
      ...pixels.subarray(position * 192, position * 192 + 3),
    ]);
    expect(first).toEqual([
      [0, 255, 0],
      [120, 120, 120],
      [128, 127, 0],
      [0, 0, 255],
      [128, 128, 128],
    ]);
  });

  test('is read with .caption files, links and a licence; dot files are passed over', async () => {
    await add('a.png', grey(1), null);
    writeFileSync(join(folder, 'a.caption'), '\uFEFFa byte order mark');
    await add('.thumbnails/x.png', grey(2));
    mkdirSync(join(root, 'other'));
    await plain(grey(3)).toFile(join(root, 'other/linked.webp'));
    writeFileSync(join(root, 'other/linked.txt'), 'linked');
    symlinkSync(join(root, 'other'), join(folder, 'link'));
    symlinkSync(folder, join(root, 'other/back')); // an endless way, were it followed
    writeFileSync(join(folder, 'LICENSE'), 'Do what you like.');
    writeFileSync(join(folder, 'NOTICE.txt'), 'By a friend.');
    const set = await prepare();
    expect(set.items.map(({ file }) => file)).toEqual(['a.png', 'link/linked.webp']);
    expect(set.items[0]!.captions[0]!.text).toBe('a byte order mark');
    expect(set.licence).toBe('Do what you like.\n\nBy a friend.');
    expect(set.problems).toEqual([]);
  });

  test('a picture turned by EXIF is turned', async () => {
    const left = { create: { width: 8, height: 4, channels: 3 as const, background: grey(0) } };
    await sharp(left).jpeg().withMetadata({ orientation: 6 }).toFile(join(folder, 'a.jpg'));
    writeFileSync(join(folder, 'a.txt'), 'tall');
    const set = await prepare();
    const pixels = readPixels(set.manifest);
    expect(pixels[0]).toBe(255); // white at the left of a tall picture
    expect(pixels[4 * 3]).toBe(0);
  });
});

describe('what cannot be used is counted and named, never trained', () => {
  test('all kinds in one folder', async () => {
    await add('good.png', grey(10));
    await add('twin.png', grey(10), 'another caption');
    await add('cut.png', grey(30));
    const noise = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251));
    const noisy = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    await noisy.png().toFile(join(folder, 'cut.png'));
    truncateSync(join(folder, 'cut.png'), 600);
    await noisy.jpeg().toFile(join(folder, 'cut-jpeg.jpg'));
    truncateSync(join(folder, 'cut-jpeg.jpg'), 900);
    writeFileSync(join(folder, 'zero.png'), '');
    writeFileSync(join(folder, 'text.png'), 'hello');
    writeFileSync(
      join(folder, 'vector.png'),
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    );
    writeFileSync(join(folder, 'huge.png'), pngOfSize(30_000, 30_000));
    await add('wordless.png', grey(40), null);
    await add('empty.png', grey(50), ' \n');
    await add('latin.png', grey(60), Buffer.from('caf\xe9', 'latin1'));
    await add('utf16.png', grey(70), Buffer.from('cat', 'utf16le'));
    await add('long.png', grey(80), 'word '.repeat(20_000));
    writeFileSync(join(folder, 'stray.txt'), 'no picture');
    symlinkSync(join(root, 'nowhere'), join(folder, 'dangling.png'));
    const set = await prepare();
    expect(set.items.map(({ file }) => file)).toEqual(['good.png']);
    expect(set.problems.map(({ file, kind }) => `${file} ${kind}`)).toEqual([
      'cut-jpeg.jpg unreadable',
      'cut.png unreadable',
      'dangling.png unreadable',
      'empty.png empty-caption',
      'huge.png too-large',
      'latin.png caption-not-utf8',
      'long.png caption-too-long',
      'text.png unreadable',
      'twin.png duplicate',
      'utf16.png caption-not-utf8',
      'vector.png unreadable',
      'wordless.png no-caption',
      'zero.png empty-file',
      'stray.txt caption-without-picture',
    ]);
    const detail = Object.fromEntries(set.problems.map(({ file, detail }) => [file, detail]));
    expect(detail['huge.png']).toContain('30,000 × 30,000');
    expect(detail['twin.png']).toBe(
      'it shows the same pixels as good.png, but is captioned “another caption” instead of “a colour”',
    );
    for (const text of Object.values(detail)) expect(text).not.toContain('\n');
    expect(set.problemCounts.unreadable).toBe(5);
  });

  test('a folder that is missing, a file, or empty', async () => {
    await expect(prepare({ folder: join(root, 'none') })).rejects.toMatchObject({
      code: 'DATA_FOLDER_MISSING',
    });
    writeFileSync(join(root, 'file'), '');
    await expect(prepare({ folder: join(root, 'file') })).rejects.toMatchObject({
      code: 'DATA_FOLDER_MISSING',
    });
    await expect(prepare()).rejects.toMatchObject({ code: 'DATA_EMPTY' });
    writeFileSync(join(folder, 'zero.png'), '');
    await expect(prepare()).rejects.toThrow('1 empty-file, such as zero.png: it has 0 bytes');
    expect(readdirSync(datasetsFolder)).toEqual([]);
  });
});

describe('the held-out part', () => {
  const addMany = async (count: number) => {
    for (let i = 0; i < count; i++) await add(`p${String(i).padStart(3, '0')}.png`, grey(i));
  };
  test.each([
    [160, 0.06, 10],
    [12, 0.01, 1],
    [9, 0.01, 0],
    [9, 0, 0],
    [1, 0.5, 0],
  ])('%i pictures at a share of %f: %i', async (count, validationShare, expected) => {
    await addMany(count);
    const set = await prepare({ validation_share: validationShare });
    expect(set.validationItems).toBe(expected);
    expect(set.trainItems).toBe(count - expected);
    expect(readManifest(set.manifest).validation).toHaveLength(expected);
  });
  test('is the same however the files are named, and another with another seed', async () => {
    await addMany(40);
    const held = (items: { key: string; split: string }[]) =>
      items
        .filter(({ split }) => split === 'validation')
        .map(({ key }) => key)
        .sort();
    const first = await prepare({ validation_share: 0.2 });
    const other = await prepare({ validation_share: 0.2 }, { seed: 43 });
    for (let i = 0; i < 40; i++) {
      const old = join(folder, `p${String(i).padStart(3, '0')}`);
      for (const ending of ['.png', '.txt'])
        execFileSync('mv', [old + ending, join(folder, `q${99 - i}${ending}`)]);
    }
    const renamed = await prepare({ validation_share: 0.2 });
    expect(held(renamed.items)).toEqual(held(first.items));
    expect(held(other.items)).not.toEqual(held(first.items));
  });
});

describe('on the disk', () => {
  test('the same content is the same set, and an intact one is used again', async () => {
    await add('a.png', grey(1));
    const first = await prepare();
    const again = await prepare();
    expect(first.reused).toBe(false);
    expect(again).toMatchObject({ reused: true, hash: first.hash, manifest: first.manifest });
    expect(readdirSync(datasetsFolder)).toEqual([first.hash]);
    writeFileSync(join(folder, 'a.txt'), 'another caption');
    expect((await prepare()).hash).not.toBe(first.hash);
    expect((await prepare({ background: '#000000', resolution: 16 })).hash).not.toBe(first.hash);
  });

  test.each([
    [
      'a byte of the pixels is another',
      (path: string) => {
        const pixels = readFileSync(join(path, 'pixels.u8'));
        pixels[5]! ^= 1;
        writeFileSync(join(path, 'pixels.u8'), pixels);
      },
    ],
    ['the manifest is cut short', (path: string) => truncateSync(join(path, 'manifest.json'), 50)],
    [
      'a caption in the manifest is another',
      (path: string) => {
        const file = join(path, 'manifest.json');
        writeFileSync(file, readFileSync(file, 'utf8').replace('a colour', 'a collar'));
      },
    ],
    ['the pixels are gone', (path: string) => rmSync(join(path, 'pixels.u8'))],
  ])('it is made anew where %s', async (_, damage) => {
    await add('a.png', grey(1));
    const first = await prepare();
    const manifest = readFileSync(first.manifest);
    const pixels = readPixels(first.manifest);
    damage(dirname(first.manifest));
    const again = await prepare();
    expect(again).toMatchObject({ reused: false, hash: first.hash });
    expect(readFileSync(first.manifest)).toEqual(manifest);
    expect(readPixels(first.manifest)).toEqual(pixels);
    expect(readdirSync(datasetsFolder)).toEqual([first.hash]);
  });

  test('two preparations at once make one set', async () => {
    for (let i = 0; i < 5; i++) await add(`${i}.png`, grey(i));
    const sets = await Promise.all([prepare(), prepare(), prepare()]);
    expect(new Set(sets.map(({ hash }) => hash)).size).toBe(1);
    expect(readdirSync(datasetsFolder)).toEqual([sets[0]!.hash]);
  });

  test('stopped half-way, nothing is left', async () => {
    for (let i = 0; i < 5; i++) await add(`${i}.png`, grey(i));
    const stop = new AbortController();
    const seen: number[] = [];
    const prepared = prepare(
      {},
      {
        signal: stop.signal,
        onProgress: (done) => {
          seen.push(done);
          if (done === 2) stop.abort(new Error('stopped'));
        },
      },
    );
    await expect(prepared).rejects.toThrow('stopped');
    expect(seen).toEqual([0, 1, 2]);
    expect(readdirSync(datasetsFolder)).toEqual([]);
  });

  test('what a killed preparation left is swept after a day', async () => {
    await add('a.png', grey(1));
    const [old, young] = ['.preparing-old', '.preparing-young'].map((name) =>
      join(datasetsFolder, name),
    );
    mkdirSync(old!, { recursive: true });
    mkdirSync(young!);
    utimesSync(old!, new Date(0), new Date(0));
    await prepare();
    expect(existsSync(old!)).toBe(false);
    expect(existsSync(young!)).toBe(true);
  });

  const fullDisk = '/dev/full';
  (existsSync(fullDisk) ? test : test.skip)('a full disk is DISK_FULL', async () => {
    const { onDisk } = await import('../../../activities/dataset/disk.ts');
    const write = () => onDisk('/x', async () => writeFileSync(fullDisk, 'x'));
    await expect(write()).rejects.toMatchObject({ code: 'DISK_FULL', exitCode: 1 });
  });

  test('a picture that may not be read is named', async () => {
    await add('a.png', grey(1));
    await add('b.png', grey(2));
    chmodSync(join(folder, 'b.png'), 0);
    const root = process.getuid?.() === 0; // whom no permission stops
    expect((await prepare()).trainItems).toBe(root ? 2 : 1);
  });
});
