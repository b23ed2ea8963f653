/** Short words for the document. */

export const find = <E extends Element = HTMLElement>(
  selector: string,
  root: ParentNode = document,
): E | undefined => root.querySelector<E>(selector) ?? undefined;

export const findAll = <E extends Element = HTMLElement>(
  selector: string,
  root: ParentNode = document,
): E[] => [...root.querySelectorAll<E>(selector)];

interface Made {
  readonly className?: string;
  readonly text?: string;
  readonly attributes?: Record<string, string>;
}

export const make = <Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  { className, text, attributes }: Made = {},
  children: readonly (Node | string)[] = [],
): HTMLElementTagNameMap[Name] => {
  const element = document.createElement(name);
  if (className !== undefined) element.className = className;
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

/** Tells screen readers of a change of state; nothing else is told. */
export const announce = (words: string): void => {
  const region = find('#announce');
  if (region !== undefined && region.textContent !== words) region.textContent = words;
};

let hiding: ReturnType<typeof setTimeout> | undefined;

/** What failed, at the foot of the page; an empty text takes it away. */
export const problem = (words: string): void => {
  const bar = find('#problem');
  if (bar === undefined) return;
  clearTimeout(hiding);
  bar.textContent = words;
  bar.hidden = words === '';
  if (words !== '') hiding = setTimeout(() => (bar.hidden = true), 12_000);
};

export const reducedMotion = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;

export const onPhone = (): boolean => matchMedia('(max-width: 600px)').matches;

/** Changes the address without leaving the page; an empty value takes the name out. */
export const setAddress = (
  changes: Record<string, string | undefined>,
  how: 'push' | 'replace' = 'replace',
): URL => {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === '') url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  // A run and its epoch are read by people: the @ stays an @.
  const search = url.searchParams.toString().replaceAll('%40', '@');
  const address = `${url.pathname}${search === '' ? '' : `?${search}`}${url.hash}`;
  if (how === 'push') history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  return url;
};
