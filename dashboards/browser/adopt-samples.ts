/**
 * What of a grid of samples that waits can be put into the one that is shown without moving anything:
 * samples whose cells are there, and rows that are still empty where nobody sees the page grow.
 */
import { find, findAll } from './dom.ts';

const headings = (table: HTMLElement): string =>
  findAll('thead th', table)
    .map(({ textContent }) => textContent.trim())
    .join('\n');

/** A row more makes the page no longer, or only below what is in view. */
const growsUnseen = (table: HTMLElement): boolean => {
  const frame = table.closest<HTMLElement>('.scroll');
  if (frame === null) return false;
  const scrolls =
    getComputedStyle(frame).overflowY !== 'visible' && frame.scrollHeight > frame.clientHeight + 1;
  return scrolls || frame.getBoundingClientRect().bottom >= innerHeight;
};

const fillCells = (row: HTMLElement, fresh: HTMLElement): boolean => {
  let filled = false;
  for (const [index, cell] of [...row.children].entries()) {
    const other = fresh.children[index];
    if (other === undefined || !cell.hasAttribute('data-cell')) continue;
    if (find('[data-sample]', other) === undefined) continue;
    const focused = cell.contains(document.activeElement);
    const sample = document.importNode(other, true);
    cell.replaceWith(sample);
    if (focused) find('a', sample)?.focus({ preventScroll: true });
    filled = true;
  }
  return filled;
};

/** @returns whether anything was put in */
export const adoptSamples = (here: HTMLElement, waiting: Element): boolean => {
  const table = find('table.grid', here);
  const fresh = find('table.grid', waiting);
  if (table === undefined || fresh === undefined || headings(table) !== headings(fresh))
    return false;
  let adopted = false;
  for (const row of findAll('tbody tr', fresh)) {
    const mine = find(`#${row.id}`, table);
    if (mine !== undefined) {
      adopted = fillCells(mine, row) || adopted;
    } else if (find('[data-sample]', row) === undefined && growsUnseen(table)) {
      const next = row.nextElementSibling;
      const before = next === null ? undefined : find(`#${next.id}`, table);
      const body = find('tbody', table);
      body?.insertBefore(document.importNode(row, true), before ?? null);
      adopted = true;
    }
  }
  return adopted;
};
