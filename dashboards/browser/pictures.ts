/**
 * Pictures of the grid come and go with the scrolling: a page with a thousand samples never holds
 * more than MOST of them. Cells keep their size, so that nothing moves.
 */
import { find, findAll } from './dom.ts';
import { adoptSamples } from './adopt-samples.ts';
import { onRefresh, showWaiting, waitingRegion } from './refresh.ts';

/** With the strip of the latest samples (two rows of eight) and some spare this stays below 120. */
const MOST = 96;

/** Cells with a picture; the one seen longest ago stands first. */
const shown = new Set<HTMLElement>();
const inView = new Set<HTMLElement>();

const hide = (cell: HTMLElement): void => {
  cell.replaceChildren();
  shown.delete(cell);
};

const show = (cell: HTMLElement): void => {
  shown.delete(cell);
  shown.add(cell);
  if (cell.firstElementChild !== null) return;
  const image = new Image(96, 96);
  image.decoding = 'async';
  image.alt = '';
  image.src = cell.dataset['source'] ?? '';
  cell.append(image);
};

const trim = (): void => {
  for (const cell of shown) {
    if (shown.size <= MOST) return;
    if (!inView.has(cell)) hide(cell);
  }
  // More in view than may be shown: the farthest wait.
  for (const cell of [...shown].toReversed()) {
    if (shown.size <= MOST) return;
    hide(cell);
  }
};

const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!(entry.target instanceof HTMLElement)) continue;
      if (entry.isIntersecting) inView.add(entry.target);
      else inView.delete(entry.target);
    }
    for (const cell of inView) show(cell);
    trim();
  },
  { rootMargin: '96px' },
);

const watch = (): void => {
  observer.disconnect();
  inView.clear();
  shown.clear();
  for (const cell of findAll('a[data-sample]')) {
    if (cell.firstElementChild !== null) shown.add(cell);
    observer.observe(cell);
  }
};

const idsIn = (root: ParentNode): Set<string> =>
  new Set(findAll('[data-sample]', root).map((cell) => cell.dataset['sample'] ?? ''));

const showPill = (): void => {
  const pill = find('#new-samples');
  const fresh = waitingRegion('grid');
  const here = find('[data-region="grid"]');
  if (pill === undefined || here === undefined) return;
  const known = idsIn(here);
  const count = fresh === undefined ? 0 : [...idsIn(fresh)].filter((id) => !known.has(id)).length;
  pill.hidden = count === 0;
  pill.textContent = `${count} new ${count === 1 ? 'sample' : 'samples'}`;
};

export const startPictures = (): void => {
  watch();
  onRefresh((changed) => {
    if (changed.has('waiting:grid')) {
      const here = find('[data-region="grid"]');
      const fresh = waitingRegion('grid');
      // Nothing that anybody looks at is replaced by the first of them.
      if (here !== undefined && find('table', here) === undefined) return showWaiting('grid');
      if (here !== undefined && fresh !== undefined && adoptSamples(here, fresh)) watch();
      showPill();
    }
    if (changed.has('grid')) {
      showPill();
      watch();
    }
  });
  find('#new-samples')?.addEventListener('click', () => {
    showWaiting('grid');
    const last = findAll('table.grid tbody tr').at(-1);
    last?.scrollIntoView({ block: 'nearest' });
  });
};
