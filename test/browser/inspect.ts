/** Faults of a page that a person with other eyes, or other hands, would run into. */
import type { Page } from 'playwright-core';

export interface Inspection {
  /** What makes the page scroll sideways. */
  readonly sideways: string[];
  /** Controls and pictures without a name. */
  readonly unnamed: string[];
  readonly headings: string[];
  /** Text with too little contrast (WCAG AA). */
  readonly faint: string[];
  /** Targets of less than 44 × 44 px; links within a line of text don't count. */
  readonly small: string[];
  readonly duplicateIds: string[];
}

// Runs in the page, where there is a document; a text, because the tests' own types know none.
const script = String.raw`(() => {
  const describe = (element) => {
    const id = element.id ? '#' + element.id : '';
    const text = (element.textContent || '').trim().replace(/\s+/g, ' ').slice(0, 30);
    return element.tagName.toLowerCase() + id + (element.className && element.className.baseVal === undefined ? '.' + String(element.className).trim().replace(/\s+/g, '.') : '') + ' "' + text + '"';
  };
  const shown = (element) => {
    if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) return false;
    if (element.closest('.visually-hidden, .skip, dialog:not([open])')) return false;
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0;
  };
  const all = (selector) => [...document.querySelectorAll(selector)];

  const width = document.documentElement.clientWidth;
  const sideways = document.documentElement.scrollWidth <= width ? [] : all('body *')
    .filter((element) => element.getBoundingClientRect().right > width + 1 && !element.closest('.scroll > *'))
    .map(describe).concat('page is ' + document.documentElement.scrollWidth + ' wide');

  const nameOf = (element) => {
    const labelled = (element.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id)?.textContent || '').join('');
    const label = element.labels ? [...element.labels].map((each) => each.textContent).join('') : '';
    const inner = (element.textContent || '') + [...element.querySelectorAll('img')].map((image) => image.alt).join('');
    const own = element.matches('input, select, textarea, progress, canvas') ? '' : inner;
    return (element.getAttribute('aria-label') || labelled || label || own || element.title || '').trim();
  };
  const unnamed = all('button, a, input, select, textarea, summary, progress, [role=img], [role=region], [role=group], dialog')
    .filter((element) => element.tagName === 'DIALOG' || shown(element)).filter((element) => nameOf(element) === '').map(describe)
    .concat(all('img:not([alt])').map(describe));

  const headings = [];
  const found = all('h1, h2, h3, h4').filter(shown);
  if (found.filter((heading) => heading.tagName === 'H1').length !== 1) headings.push('not one h1');
  let level = 0;
  for (const heading of found) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) headings.push('skips to ' + describe(heading));
    level = next;
  }

  const numbers = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const over = (top, under) => {
    const alpha = top[3] === undefined ? 1 : top[3];
    return [0, 1, 2].map((at) => top[at] * alpha + under[at] * (1 - alpha));
  };
  const groundOf = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(numbers(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const light = (colour) => {
    const [red, green, blue] = colour.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const faint = [];
  for (const element of all('body *')) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (!text || !shown(element) || element.matches(':disabled, option, optgroup')) continue;
    const style = getComputedStyle(element);
    if (parseFloat(style.fontSize) === 0) continue;
    const ground = groundOf(element);
    const [one, two] = [light(over(numbers(style.color), ground)), light(ground)].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (two + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) faint.push(contrast.toFixed(2) + ' ' + describe(element));
  }

  const small = all('button, a, input, select, summary').filter(shown).filter((element) => {
    // A label around a box is its target, and text in a line has the line's height.
    const target = element.closest('label') || element;
    const box = target.getBoundingClientRect();
    const inText = element.tagName === 'A' && element.closest('p, li, td:not(:last-child)') && !element.closest('.crumbs, .section-head') && !element.matches('.button, .picture');
    return !inText && (box.width < 43.5 || box.height < 43.5);
  }).map((element) => { const box = (element.closest('label') || element).getBoundingClientRect(); return describe(element) + ' ' + Math.round(box.width) + '×' + Math.round(box.height); });

  const ids = all('[id]').map(({ id }) => id);
  const duplicateIds = ids.filter((id, index) => ids.indexOf(id) !== index);
  return { sideways, unnamed, headings, faint, small, duplicateIds };
})()`;

export const inspectPage = (page: Page): Promise<Inspection> => page.evaluate<Inspection>(script);
