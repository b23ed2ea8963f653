/** A folder of pictures for each test of a file, and what becomes of it. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import sharp, { type Sharp } from 'sharp';
import { prepareDataset, type PreparedDataset } from '../../../activities/dataset/prepare.ts';
import type { DataItem, Manifest } from '../../../activities/dataset/types.ts';
import type { DataSettings } from '../../../recipes/schema.ts';
import { dataSettings } from './settings.ts';

/** RGB and, with a fourth number, alpha of a pixel. */
export type Paint = (x: number, y: number) => number[];

export function useFolder() {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tiller-dataset-'));
    mkdirSync(join(root, 'pictures'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const path = (name: string) => join(root, name);
  const file = (name: string) => path(`pictures/${name}`);
  const write = (name: string, content: string | Buffer) => {
    mkdirSync(dirname(file(name)), { recursive: true });
    writeFileSync(file(name), content);
  };
  return {
    path,
    file,
    write,
    /** Every pixel painted; the format is the name's. */
    async paint(
      name: string,
      width: number,
      height: number,
      at: Paint,
      finish: (picture: Sharp) => Sharp = (picture) => picture,
    ): Promise<void> {
      const bytes = Array.from({ length: width * height }, (_, i) =>
        at(i % width, Math.floor(i / width)),
      ).flat();
      const channels = (bytes.length / width / height) as 3 | 4;
      mkdirSync(dirname(file(name)), { recursive: true });
      const picture = sharp(Uint8Array.from(bytes), { raw: { width, height, channels } });
      await finish(picture).toFile(file(name));
    },
    prepare: (data: Partial<DataSettings> = {}, seed = 42): Promise<PreparedDataset> =>
      prepareDataset({
        data: dataSettings({
          folder: path('pictures'),
          resolution: 16,
          validation_share: 0,
          ...data,
        }),
        seed,
        datasetsFolder: path('datasets'),
      }),
  };
}

/** Small ones, so that tests are quick. */
export const smallBuckets = {
  fit: 'buckets',
  resolution: 32,
  bucket_min: 16,
  bucket_max: 64,
  bucket_step: 8,
} as const;

export const manifestOf = ({ manifest }: PreparedDataset): Manifest =>
  JSON.parse(readFileSync(manifest, 'utf8')) as Manifest;

export const pixelsOf = ({ manifest }: PreparedDataset, item: DataItem): Buffer =>
  readFileSync(join(dirname(manifest), 'pixels.u8')).subarray(
    item.offset,
    item.offset + item.width * item.height * 3,
  );

export function maskOf({ manifest }: PreparedDataset, item: DataItem): number[][] | undefined {
  if (item.maskOffset === undefined) return undefined;
  const bytes = readFileSync(join(dirname(manifest), 'masks.u8')).subarray(item.maskOffset);
  return Array.from({ length: item.height }, (_, y) => [
    ...bytes.subarray(y * item.width, (y + 1) * item.width),
  ]);
}

export const problemsOf = ({ problems }: PreparedDataset): string[] =>
  problems.map(({ file, kind }) => `${file} ${kind}`);
