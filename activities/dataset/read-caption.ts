import { readFile, stat } from 'node:fs/promises';
import type { Refusal } from './types.ts';

/** More than any model sees; a larger file is not a caption. */
const MAX_BYTES = 64 * 1024;

export type CaptionResult = { text: string } | Refusal;

/** One caption, its white space made single spaces; or why it is not used. */
export async function readCaption(path: string): Promise<CaptionResult> {
  let bytes: Buffer;
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) {
      return { kind: 'caption-too-long', detail: `its caption has ${size} bytes` };
    }
    bytes = await readFile(path);
  } catch (error) {
    return {
      kind: 'no-caption',
      detail: `its caption cannot be read: ${(error as Error).message}`,
    };
  }
  const text = decode(bytes);
  if (text === null) {
    return {
      kind: 'caption-not-utf8',
      detail: 'its caption is not valid UTF-8; save it as UTF-8',
    };
  }
  const words = text.normalize('NFC').replace(/\s+/g, ' ').trim();
  return words === '' ? { kind: 'empty-caption', detail: 'its caption is empty' } : { text: words };
}

/** Latin-1 is never guessed at: a wrong guess would be trained. A byte order mark is dropped. */
function decode(bytes: Buffer): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.includes('\0') ? null : text; // UTF-16 of plain letters is valid UTF-8 with zeros
  } catch {
    return null;
  }
}
