/** What the folders of a data set say: kohya's `10_red barn/` is ten repeats of "red barn". */
import type { DataSettings } from '../../recipes/schema.ts';
import type { Refusal } from './types.ts';

const NAMED = /^(\d{1,5})_(.*)$/s;

export interface Placed {
  repeats: number;
  /** Of a picture that has none of its own. */
  caption?: string;
}

/** How each picture of a folder is to be taken. */
export function layoutOf(
  files: readonly string[],
  layout: DataSettings['layout'],
): (file: string) => Placed | Refusal {
  const kohya = layout === 'kohya' || (layout === 'auto' && looksLikeKohya(files));
  return kohya ? placeOf : () => ({ repeats: 1 });
}

const topFolder = (file: string): string | undefined =>
  file.includes('/') ? file.slice(0, file.indexOf('/')) : undefined;

const looksLikeKohya = (files: readonly string[]): boolean =>
  files.length > 0 && files.every((file) => NAMED.test(topFolder(file) ?? ''));

function placeOf(file: string): Placed | Refusal {
  const folder = topFolder(file);
  const [, number, words] = NAMED.exec(folder ?? '') ?? [];
  if (number === undefined || words === undefined) {
    return {
      kind: 'outside-layout',
      detail: 'it is in no folder named by repeats and caption, such as "10_red barn"',
    };
  }
  const repeats = Number(number);
  if (repeats === 0) return { kind: 'no-repeats', detail: `its folder, ${folder}, says 0 repeats` };
  const caption = words.trim();
  return caption === '' ? { repeats } : { repeats, caption };
}
