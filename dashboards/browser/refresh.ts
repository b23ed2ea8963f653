/**
 * Reads the page again and puts in what has changed. Only regions (`data-region`) are touched, each
 * only if the server made it differently, so that scroll, selection and focus stay where they are. A
 * region marked `data-defer` waits for a person.
 */
import { find, findAll } from './dom.ts';

type Listener = (changed: ReadonlySet<string>) => void;

/** What the server sent last for each region: the page itself changes regions, too. */
const sent = new Map<string, string>();
const listeners = new Set<Listener>();
const waiting = new Map<string, Element>();

const nameOf = (region: HTMLElement): string => region.dataset['region'] ?? '';

export const rememberRegions = (): void => {
  for (const region of findAll('[data-region]')) sent.set(nameOf(region), region.innerHTML);
};

/** Told after regions have changed, with their names; deferred ones begin with "waiting:". */
export const onRefresh = (listener: Listener): void => {
  listeners.add(listener);
};

const replace = (region: HTMLElement, fresh: Element): void => {
  const focused = document.activeElement;
  const focusedId = focused instanceof HTMLElement && region.contains(focused) ? focused.id : '';
  const open = findAll<HTMLDetailsElement>('details[open]', region).map(({ id }) => id);
  const ticked = new Set(
    findAll<HTMLInputElement>('input:checked', region).map(({ name, value }) => `${name}=${value}`),
  );
  const typed = findAll<HTMLInputElement>('input[type=text], input[type=number]', region)
    .filter(({ value, defaultValue }) => value !== defaultValue)
    .map(({ id, value }) => [id, value] as const);
  const scrolled = [region, ...findAll('.scroll', region)].map(
    ({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop] as const,
  );
  for (const { name, value } of fresh.attributes) {
    if (name.startsWith('data-')) region.setAttribute(name, value);
  }
  region.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
  for (const id of open) find<HTMLDetailsElement>(`#${id}`, region)?.setAttribute('open', '');
  if (ticked.size > 0) {
    for (const input of findAll<HTMLInputElement>(
      'input[type=checkbox], input[type=radio]',
      region,
    )) {
      input.checked = ticked.has(`${input.name}=${input.value}`);
    }
  }
  for (const [id, value] of typed) {
    const input = find<HTMLInputElement>(`#${id}`, region);
    if (input !== undefined) input.value = value;
  }
  [region, ...findAll('.scroll', region)].forEach((element, index) => {
    const [left, top] = scrolled[index] ?? [0, 0];
    element.scrollLeft = left;
    element.scrollTop = top;
  });
  if (focusedId !== '') find(`#${focusedId}`, region)?.focus({ preventScroll: true });
};

const tell = (changed: ReadonlySet<string>): void => {
  if (changed.size > 0) for (const listener of listeners) listener(changed);
};

/** Puts a page's regions in; `all` also those that wait for a person. */
const putIn = (page: Document, all: boolean): void => {
  const changed = new Set<string>();
  for (const region of findAll('[data-region]')) {
    const name = nameOf(region);
    const fresh = find(`[data-region="${name}"]`, page);
    const dataset = fresh instanceof HTMLElement ? JSON.stringify({ ...fresh.dataset }) : '';
    const same =
      fresh === undefined ||
      (fresh.innerHTML === sent.get(name) && dataset === JSON.stringify({ ...region.dataset }));
    if (same) continue;
    if (region.dataset['defer'] !== undefined && !all && region.childElementCount > 0) {
      waiting.set(name, fresh);
      changed.add(`waiting:${name}`);
      continue;
    }
    waiting.delete(name);
    sent.set(name, fresh.innerHTML);
    replace(region, fresh);
    changed.add(name);
  }
  const token = find<HTMLMetaElement>('meta[name=tiller-token]', page)?.content;
  if (token !== undefined) {
    find<HTMLMetaElement>('meta[name=tiller-token]')?.setAttribute('content', token);
  }
  const last = page.body.dataset['lastEvent'];
  if (last !== undefined) document.body.dataset['lastEvent'] = last;
  tell(changed);
};

const read = async (address: string): Promise<Document> => {
  const response = await fetch(address, {
    headers: { Accept: 'text/html' },
    cache: 'no-store',
    signal: AbortSignal.timeout(20_000),
  });
  if (!response.ok && response.status !== 404) {
    throw new Error(`The dashboard answered ${response.status}.`);
  }
  return new DOMParser().parseFromString(await response.text(), 'text/html');
};

let under: Promise<void> | undefined;
let again = false;

/** Reads this page anew. Calls while one is under way become one more after it. */
export const refresh = (): Promise<void> => {
  if (under !== undefined) {
    again = true;
    return under;
  }
  under = (async () => {
    try {
      do {
        again = false;
        putIn(await read(location.href), false);
      } while (again);
    } finally {
      under = undefined;
    }
  })();
  return under;
};

let visits = 0;

/** Goes to another view of the same page; the newest call wins. */
export const visit = async (address: string): Promise<void> => {
  visits += 1;
  const mine = visits;
  const page = await read(address);
  if (mine === visits) putIn(page, true);
};

/** Shows a region that has waited. */
export const showWaiting = (name: string): void => {
  const fresh = waiting.get(name);
  const region = find(`[data-region="${name}"]`);
  if (fresh === undefined || region === undefined) return;
  waiting.delete(name);
  sent.set(name, fresh.innerHTML);
  replace(region, fresh);
  tell(new Set([name]));
};

/** A region that waits, as the server made it. */
export const waitingRegion = (name: string): Element | undefined => waiting.get(name);
