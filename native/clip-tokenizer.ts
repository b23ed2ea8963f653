import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import {
  byteCharacters,
  type ClipVocabulary,
  diffusersVocabulary,
  endToken,
  openaiVocabulary,
  startToken,
  unreadable,
  wordEnd,
} from './clip-vocabulary.ts';
import { lowerCases, rangesOf } from './unicode.ts';

export interface ClipTokenizerOptions {
  /** A folder in diffusers' layout, whose tokenizer it is; without, OpenAI's own. */
  diffusers?: string;
  /** The environment that says where the cache folder is. */
  env?: NodeJS.ProcessEnv;
}

export interface ClipTokenizerFile {
  path: string;
  /** Of the file: two tokenizers with the same give the same numbers. */
  sha256: string;
}

/**
 * Text as a trainer wants it: in Unicode's normal form C, which native/text doesn't make. Every text
 * that goes to the tokenizer, captions and prompts alike, has to come through here.
 */
export const clipText = (text: string): string => text.toWellFormed().normalize('NFC');

/**
 * Writes what native/text/clip_vocabulary.h reads, once: the file is kept under the hash of its
 * content. A file that was damaged since is written again.
 */
export async function writeClipTokenizer(
  options: ClipTokenizerOptions = {},
): Promise<ClipTokenizerFile> {
  const { diffusers, env = process.env } = options;
  const vocabulary =
    diffusers === undefined ? await openaiVocabulary() : await diffusersVocabulary(diffusers);
  const text = clipTokenizerAsset(vocabulary);
  const sha256 = createHash('sha256').update(text).digest('hex');
  const parent = join(cacheFolder(env), 'tokenizers');
  const path = join(parent, `clip-${sha256.slice(0, 24)}.json`);
  const found = await readFile(path, 'utf8').catch(() => undefined); // not there, or not readable
  if (found !== text) {
    await mkdir(parent, { recursive: true });
    const temporary = join(parent, `.clip-${randomUUID()}`);
    try {
      await writeFile(temporary, text);
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  }
  return { path, sha256 };
}

/** A vocabulary in numbers alone, a line a key. */
export function clipTokenizerAsset({ tokens, merges }: ClipVocabulary): string {
  const id = (token: string): number => {
    const found = tokens.get(token);
    if (found === undefined) throw unreadable('vocabulary', `lacks ${JSON.stringify(token)}`);
    return found;
  };
  const asset = {
    format: 'tiller-clip-tokenizer',
    version: 1,
    size: [...tokens.values()].reduce((most, id) => Math.max(most, id), 0) + 1,
    start: id(startToken),
    end: id(endToken),
    bytes: byteCharacters.map(id),
    last_bytes: byteCharacters.map((character) => id(character + wordEnd)),
    merges: merges.flatMap(([left, right]) => [id(left), id(right), id(left + right)]),
    letters: rangesOf(/\p{L}/u),
    numbers: rangesOf(/\p{N}/u),
    spaces: rangesOf(/\p{White_Space}/u), // not \s, which has U+FEFF and lacks U+0085
    lower: lowerCases(),
  };
  const lines = Object.entries(asset).map(([key, value]) => `"${key}":${JSON.stringify(value)}`);
  return `{${lines.join(',\n')}}\n`;
}
