import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { expectChecks } from './checks.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-formats-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test('hashes, safetensors and pictures', async () => {
  await expectChecks('formats_test', 43, [folder]);
  for (const name of ['noise', 'flat', 'gradient', 'pixel']) {
    const pixels = await sharp(join(folder, `${name}.png`))
      .raw()
      .toBuffer();
    expect(pixels.equals(await readFile(join(folder, `${name}.rgb`)))).toBe(true);
  }
}, 300_000);
