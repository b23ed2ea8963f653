import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeTokenizerFolder } from '../../native/tokenizer-folder.ts';
import { expectChecks } from './checks.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-export-test-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test('LoRA files both ways, merging, extraction, whole models, refusals', async () => {
  await expectChecks('export_test', 134, [folder]);
}, 300_000);

test("a diffusers folder's tokenizer is OpenAI's, and written once", async () => {
  const env = { XDG_CACHE_HOME: folder };
  const made = await writeTokenizerFolder(env);
  expect(await writeTokenizerFolder(env)).toBe(made);
  const read = (name: string) => readFile(join(made, name), 'utf8');
  const words = JSON.parse(await read('vocab.json')) as Record<string, number>;
  expect(Object.keys(words)).toHaveLength(49_408);
  expect(words).toMatchObject({ 'cat</w>': 2368, 'photo</w>': 1125, '<|endoftext|>': 49_407 });
  const merges = (await read('merges.txt')).trimEnd().split('\n');
  expect(merges.slice(0, 2)).toEqual(['#version: 0.2', 'i n']);
  expect(merges).toHaveLength(1 + 48_894);
});
