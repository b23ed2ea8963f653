/** The runs page: a current row, a selection, a filter. */
import { find, findAll, setAddress } from './dom.ts';
import { addKeys } from './keys.ts';
import { onRefresh } from './refresh.ts';

let current = '';

const rows = (): HTMLElement[] => findAll('tr.run-row').filter((row) => !row.hidden);

const showCurrent = (scroll: boolean): void => {
  for (const row of findAll('tr.run-row')) {
    const here = row.dataset['row'] === current;
    row.classList.toggle('current', here);
    if (here && scroll) {
      row.scrollIntoView({ block: 'nearest' });
      find('a.open', row)?.focus({ preventScroll: true });
    }
  }
};

const move = (by: number): void => {
  const all = rows();
  const at = all.findIndex((row) => row.dataset['row'] === current);
  const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  current = next?.dataset['row'] ?? '';
  showCurrent(true);
};

const picked = (): HTMLElement[] =>
  rows().filter((row) => find<HTMLInputElement>('input[name=pick]', row)?.checked);

const showPicked = (): void => {
  const count = picked().length;
  const words = find('#picked');
  if (words !== undefined) {
    words.textContent =
      count === 0
        ? ''
        : count === 1
          ? '1 selected'
          : `${count} selected${count > 2 ? ': two at most' : ''}`;
  }
  const button = find<HTMLButtonElement>('#compare-picked');
  if (button !== undefined) button.disabled = count !== 1 && count !== 2;
};

/** Two runs by their newest epochs; one run by its first and newest. */
const compare = (): void => {
  const [a, b] = picked();
  if (a === undefined || picked().length > 2) return;
  const at = (row: HTMLElement, epoch?: string): string =>
    `${row.dataset['row']}@${epoch ?? (row.dataset['epoch'] || '0')}`;
  const query = b === undefined ? `a=${at(a, '0')}&b=${at(a)}` : `a=${at(a)}&b=${at(b)}`;
  location.assign(`/compare?${query}`);
};

const filter = (query: string): void => {
  const words = query.toLowerCase().split(/\s+/);
  for (const row of findAll('tr.run-row')) {
    row.hidden = !words.every((word) => (row.dataset['filter'] ?? '').includes(word));
  }
  for (const group of findAll('tbody[data-group]')) {
    group.hidden = findAll('tr.run-row', group).every((row) => row.hidden);
  }
  const none = rows().length === 0;
  find('.no-match')?.toggleAttribute('hidden', !none);
  find('table.runs')?.toggleAttribute('hidden', none);
  const shown = find('#query-words');
  if (shown !== undefined) shown.textContent = query;
  showPicked();
};

export const startRuns = (): void => {
  // Said once: not again when the page is read anew or kept as a bookmark.
  setAddress({ deleted: undefined });
  const field = find<HTMLInputElement>('#filter');
  const form = field?.closest('form');
  form?.addEventListener('submit', (event) => {
    event.preventDefault();
    move(0);
  });
  field?.addEventListener('input', () => {
    filter(field.value.trim());
    setAddress({ q: field.value.trim() });
  });
  const clear = (event: Event): void => {
    if (field === undefined) return;
    event.preventDefault();
    field.value = '';
    setAddress({ q: undefined });
    filter('');
    field.focus();
  };
  document.addEventListener('click', (event) => {
    if (event.target instanceof Element && event.target.id === 'clear-filters') clear(event);
  });
  field?.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') field.blur();
  });
  document.addEventListener('change', (event) => {
    if (event.target instanceof HTMLInputElement && event.target.name === 'pick') showPicked();
  });
  find('#compare-picked')?.addEventListener('click', compare);
  onRefresh((changed) => {
    if (!changed.has('runs')) return;
    if (field !== undefined) filter(field.value.trim());
    showCurrent(false);
    showPicked();
  });
  showPicked();
  addKeys([
    { key: 'j', does: 'Next run', press: () => move(1) },
    { key: 'k', does: 'Run before', press: () => move(-1) },
    {
      key: 'x',
      does: 'Select the run to compare',
      press: () => {
        const row = rows().find((each) => each.dataset['row'] === current);
        if (row !== undefined) find<HTMLInputElement>('input[name=pick]', row)?.click();
      },
    },
    { key: 'c', does: 'Compare what is selected', press: compare },
    {
      key: 'Enter',
      shown: 'Enter',
      does: 'Open the run',
      press: () => {
        const row = rows().find((each) => each.dataset['row'] === current);
        if (row !== undefined) find('a.open', row)?.click();
      },
    },
    { key: '/', shown: '/', does: 'Filter', press: () => field?.focus() },
  ]);
};
