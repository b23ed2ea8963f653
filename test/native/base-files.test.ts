import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectChecks } from './checks.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-base-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test('Stable Diffusion 1.x: names both ways, sizes from shapes, written and read again', async () => {
  await expectChecks('base_write_test', 173, [folder]);
  expect(await readdir(join(folder, 'base-write'))).toContain('outputs.safetensors');
}, 300_000);

test(
  "people's files are read, broken and foreign ones refused",
  () => expectChecks('base_files_test', 66, [folder]),
  300_000,
);
