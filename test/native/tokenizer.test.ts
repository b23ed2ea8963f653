import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { clipText, writeClipTokenizer } from '../../native/clip-tokenizer.ts';
import { openaiVocabulary } from '../../native/clip-vocabulary.ts';
import { lowerCases, rangesOf } from '../../native/unicode.ts';
import { expectChecks } from './checks.ts';
import { writeTokenizerTexts } from './tokenizer-texts.ts';

let folder: string;
let env: NodeJS.ProcessEnv;
let asset: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-tokenizer-'));
  env = { XDG_CACHE_HOME: folder };
  asset = (await writeClipTokenizer({ env })).path;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A base model's folder with this vocabulary. */
async function diffusersFolder(
  name: string,
  tokens: Record<string, unknown>,
  merges: string,
): Promise<string> {
  const base = join(folder, name);
  await mkdir(join(base, 'tokenizer'), { recursive: true });
  await writeFile(join(base, 'tokenizer', 'vocab.json'), JSON.stringify(tokens));
  await writeFile(join(base, 'tokenizer', 'merges.txt'), merges);
  return base;
}

test("the same tokens as transformers' tokenizer", async () => {
  const texts = await writeTokenizerTexts(folder);
  await expectChecks('tokenizer_test', 90, [asset, texts, folder]);
}, 300_000);

test("prompts' weights and chunks", () => expectChecks('prompts_test', 83, [asset]), 300_000);
test('captions as they are composed', () => expectChecks('captions_test', 39), 300_000);

describe('the file', () => {
  test('is named by its content, and written again if that is damaged', async () => {
    const good = await readFile(asset, 'utf8');
    await writeFile(asset, good.slice(0, 1000));
    const again = await writeClipTokenizer({ env });
    expect(again.path).toBe(asset);
    expect(basename(asset)).toBe(`clip-${again.sha256.slice(0, 24)}.json`);
    expect((await readFile(asset, 'utf8')) === good).toBe(true);
    expect(await readdir(join(asset, '..'))).toEqual([basename(asset)]);
  });
  test('is the same from a diffusers folder with the same vocabulary', async () => {
    const { tokens, merges } = await openaiVocabulary();
    const lines = ['#version: 0.2', ...merges.map((pair) => pair.join(' ')), ''];
    const diffusers = await diffusersFolder(
      'same',
      Object.fromEntries(tokens),
      lines.join('\r\n'), // as git on Windows may have left it
    );
    expect((await writeClipTokenizer({ env, diffusers })).path).toBe(asset);
  });
  test.each([
    ['no folder', undefined, '', /vocab\.json can't be read/],
    ['a list', [], '', /vocab\.json is no JSON object/],
    ['a number that is none', { a: 'b' }, '', /vocab\.json gives "a" the number b/],
    ['half a pair', {}, '#version: 0.2\na b\nc', /merges\.txt has no pair of tokens in line 3/],
    ['no start', { '<|endoftext|>': 1 }, 'a b', /vocabulary lacks "<\|startoftext\|>"/],
    ['no byte', { '<|startoftext|>': 0, '<|endoftext|>': 1 }, 'a b', /vocabulary lacks "\u0100"/],
  ])('is refused with %s', async (name, tokens, merges, message) => {
    const diffusers =
      tokens === undefined
        ? join(folder, 'nowhere')
        : await diffusersFolder(name, tokens as Record<string, unknown>, merges);
    await expect(writeClipTokenizer({ env, diffusers })).rejects.toMatchObject({
      code: 'NATIVE_TOKENIZER',
      message: expect.stringMatching(message) as unknown,
    });
  });
  test('knows Unicode as Node does', () => {
    expect(rangesOf(/[a-z0]/u)).toEqual([48, 48, 97, 122]);
    const lower = new Map(lowerCases().map(([point, ...to]) => [point, to]));
    expect(lower.get(0x41)).toEqual([0x61]);
    expect(lower.get(0x130)).toEqual([0x69, 0x307]);
    expect(lower.get(0x3a3)).toEqual([0x3c3]); // also at a word's end: by itself
    expect(lower.has(0x61)).toBe(false);
  });
});

test('a text that is no Unicode becomes one', () => {
  expect(clipText('a\u0301 \ud800')).toBe('\u00e1 \ufffd');
});
