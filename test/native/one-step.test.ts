import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { buildNative } from '../../native/build.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-one-step-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

// The script itself needs PyTorch and is run by hand; its programs must not rot meanwhile.
test('the programs of test/peers/load_sd.py, at the tiny size', async () => {
  const base = join(folder, 'tiny.safetensors');
  await execa((await buildNative('make_sd15')).path, ['tiny', base]);
  const { path } = await buildNative('one_step');
  await execa(path, [base, folder]);
  expect(await readdir(folder)).toContain('one_step.safetensors');
  expect(await readdir(join(folder, 'config'))).toContain('model_index.json');
  const { exitCode, stderr } = await execa(path, [base, folder, base], { reject: false });
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: expect.stringContaining('has no matrix of kohya'),
  });
}, 300_000);
