/** Theme: kept in a cookie, so that the server sends the page in the right colours at once. */
import { find, findAll } from './dom.ts';

const YEAR_SECONDS = 31_536_000;
const listeners = new Set<() => void>();

/** Told when colours have changed. */
export const onTheme = (listener: () => void): void => {
  listeners.add(listener);
};

const tell = (): void => {
  for (const listener of listeners) listener();
};

export const startTheme = (): void => {
  for (const input of findAll<HTMLInputElement>('input[name=theme]')) {
    input.addEventListener('change', () => {
      document.documentElement.dataset['theme'] = input.value;
      document.cookie = `tiller-theme=${input.value}; path=/; max-age=${YEAR_SECONDS}; samesite=strict`;
      find<HTMLMetaElement>('meta[name=color-scheme]')?.setAttribute(
        'content',
        input.value === 'system' ? 'light dark' : input.value,
      );
      tell();
    });
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', tell);
};
