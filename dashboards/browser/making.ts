/** The sample in the making, in its place among the samples until the sample itself is there. */
import { find, findAll, make } from './dom.ts';
import { onProgress, type Making } from './live.ts';
import { onRefresh, refresh } from './refresh.ts';

interface Place {
  readonly table: string;
  readonly words: (making: Making) => string;
  /** by cell: what lies over it */
  readonly covers: Map<string, HTMLElement>;
}

const places: readonly Place[] = [
  { table: 'table.grid', words: ({ words }) => words, covers: new Map() },
  { table: 'table.strip', words: ({ short }) => short, covers: new Map() },
];

let now: Making | null = null;
/** The row that the page was read anew for: once, or a row that finds no place would read it for ever. */
let asked = '';

const cellOf = ({ row, prompt }: Making): string => `${row}/${prompt}`;
const cellIn = ({ table }: Place, key: string): HTMLElement | undefined =>
  findAll(`${table} [data-cell="${key}"]`).at(-1);

/** Shown once it is whole: until then, and if it doesn't come, the one before stays. */
const load = (cover: HTMLElement, { picture, alt }: Making): void => {
  if (picture === null || cover.dataset['picture'] === picture) return;
  cover.dataset['picture'] = picture;
  const image = new Image(96, 96);
  image.alt = alt;
  image.addEventListener('load', () => {
    if (cover.dataset['picture'] !== picture) return;
    find('img', cover)?.remove();
    cover.prepend(image);
  });
  image.src = picture;
};

const draw = (): void => {
  if (now === null) return;
  const making = now;
  const key = cellOf(making);
  for (const place of places) {
    const cell = cellIn(place, key);
    if (cell === undefined) continue;
    const cover = place.covers.get(key) ?? make('span', { className: 'making' }, [make('span')]);
    place.covers.set(key, cover);
    const words = find('span', cover);
    if (words !== undefined) words.textContent = place.words(making);
    load(cover, making);
    if (cover.parentElement === cell) continue;
    find('.missing', cell)?.setAttribute('inert', '');
    cell.append(cover);
  }
};

/** Takes away what is over. */
const clear = (): void => {
  const key = now === null ? '' : cellOf(now);
  for (const { covers } of places) {
    for (const [cell, cover] of covers) {
      if (cell === key) continue;
      find('.missing', cover.parentElement ?? document)?.removeAttribute('inert');
      cover.remove();
      covers.delete(cell);
    }
  }
};

const show = (next: Making | null): void => {
  const before = now;
  now = next;
  draw();
  const over = before !== null && (next === null || cellOf(before) !== cellOf(next));
  const homeless =
    next !== null &&
    next.row !== asked &&
    places.some((place) => cellIn(place, cellOf(next)) === undefined);
  if (homeless) asked = next.row;
  // The last look stays until the sample takes its place, or is known not to come.
  if (over || homeless) void refresh().then(clear, clear);
};

export const startMaking = (): void => {
  onRefresh(draw);
  onProgress(({ making }) => {
    if (making !== undefined) show(making);
  });
};
