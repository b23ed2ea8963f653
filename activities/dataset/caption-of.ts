/** The words that a picture is trained with: its own, its folder's, or the recipe's. */
import { join } from 'node:path';
import type { DataSettings } from '../../recipes/schema.ts';
import { readCaption } from './read-caption.ts';
import type { Refusal } from './types.ts';

type Settings = Pick<DataSettings, 'default_caption' | 'caption_extension'>;

export async function captionOf(
  folder: string,
  /** null: it has none */
  file: string | null,
  folderCaption: string | undefined,
  { default_caption: fallback, caption_extension: endings }: Settings,
): Promise<{ text: string } | Refusal> {
  const other = folderCaption ?? fallback;
  if (file === null) {
    if (other !== undefined) return { text: other };
    return { kind: 'no-caption', detail: `there is no ${endings.join(' or ')} of its name` };
  }
  const read = await readCaption(join(folder, file));
  const isEmpty = 'kind' in read && read.kind === 'empty-caption';
  return isEmpty && other !== undefined ? { text: other } : read;
}

/** The trigger in place of `[trigger]`, and first where a caption lacks it. */
export function withTrigger(text: string, trigger: string | undefined): string {
  if (trigger === undefined) return text;
  const placed = text.split('[trigger]').join(trigger);
  return hasWord(placed, trigger) ? placed : `${trigger}, ${placed}`;
}

/** As a word of its own: "sks" is not in "desks". */
function hasWord(text: string, word: string): boolean {
  const literal = word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`(?<![\\p{L}\\p{N}])${literal}(?![\\p{L}\\p{N}])`, 'iu').test(text);
}
