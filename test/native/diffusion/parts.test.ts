import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import sharp from 'sharp';
import { buildNative } from '../../../native/build.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-parts-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Builds and runs a program of native/tests; gives the checks that failed. */
async function failedChecks(program: string, args: string[]): Promise<string[]> {
  const { path } = await buildNative(program);
  const { stdout } = await execa(path, args, { reject: false });
  const lines = stdout.split('\n').filter((line) => line !== '');
  expect(lines.length).toBeGreaterThan(20);
  return lines.filter((line) => !(JSON.parse(line) as { ok: boolean }).ok);
}

test('hashes, safetensors and pictures', async () => {
  expect(await failedChecks('formats_test', [folder])).toEqual([]);
  for (const name of ['noise', 'flat', 'gradient', 'pixel']) {
    const pixels = await sharp(join(folder, `${name}.png`))
      .raw()
      .toBuffer();
    expect(pixels.equals(await readFile(join(folder, `${name}.rgb`)))).toBe(true);
  }
}, 300_000);

test('schedules and samplers as diffusers has them; codecs, words, draws', async () => {
  const golden = join(import.meta.dirname, '../../golden/schedules.json');
  expect(await failedChecks('diffusion_test', [golden])).toEqual([]);
}, 300_000);
