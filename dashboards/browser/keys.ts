/** Keys. Letters are left alone while somebody types, and can be switched off. */
import { find, make } from './dom.ts';

export interface Key {
  /** As `event.key`; a letter in lower case. */
  readonly key: string;
  readonly shift?: boolean;
  /** What the help says; left out: not listed. */
  readonly shown?: string;
  readonly does?: string;
  readonly press: (event: KeyboardEvent) => void;
  readonly release?: () => void;
}

const keys: Key[] = [];
const STORED = 'tiller-letter-keys';

const lettersOn = (): boolean => localStorage.getItem(STORED) !== 'off';

export const addKeys = (more: readonly Key[]): void => {
  keys.push(...more);
};

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement &&
      !['checkbox', 'radio', 'button', 'range'].includes(target.type)));

/** Elements that use the arrows or the space bar themselves. */
const usesItself = (target: EventTarget | null, key: string): boolean => {
  if (!(target instanceof HTMLElement)) return false;
  if (key.startsWith('Arrow')) {
    return target instanceof HTMLInputElement && ['range', 'radio'].includes(target.type);
  }
  if (key === ' ' || key === 'Enter') {
    return target.closest('button, a, summary, input') !== null;
  }
  return false;
};

const wanted = (event: KeyboardEvent): Key | undefined => {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (isTyping(event.target) || document.querySelector('dialog[open]') !== null) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (usesItself(event.target, key)) return undefined;
  if (key.length === 1 && /[a-z0-9]/.test(key) && !lettersOn()) return undefined;
  return keys.find((each) => each.key === key && (each.shift ?? event.shiftKey) === event.shiftKey);
};

const showHelp = (): void => {
  const list = find('#help-keys');
  const dialog = find<HTMLDialogElement>('#help');
  if (list === undefined || dialog === undefined) return;
  list.replaceChildren(
    ...keys
      .filter((key) => key.does !== undefined)
      .flatMap((key) => [
        make('dt', {}, [make('kbd', { text: key.shown ?? key.key.toUpperCase() })]),
        make('dd', { text: key.does ?? '' }),
      ]),
  );
  dialog.showModal();
};

export const startKeys = (): void => {
  addKeys([{ key: '?', shown: '?', does: 'This list', press: showHelp }]);
  document.addEventListener('keydown', (event) => {
    const key = wanted(event);
    if (key === undefined) return;
    event.preventDefault();
    if (!event.repeat || key.release === undefined) key.press(event);
  });
  document.addEventListener('keyup', (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    for (const each of keys) if (each.key === key) each.release?.();
  });
  window.addEventListener('blur', () => {
    for (const each of keys) each.release?.();
  });
  find('#help-button')?.addEventListener('click', showHelp);
  const box = find<HTMLInputElement>('#letter-keys');
  if (box !== undefined) {
    box.checked = lettersOn();
    box.addEventListener('change', () => localStorage.setItem(STORED, box.checked ? 'on' : 'off'));
  }
};
