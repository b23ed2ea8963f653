/** What is picked to be compared stands in the address: a reload, or somebody else, picks the same. */
import { findAll, setAddress } from './dom.ts';

/** Runs by `pick`; of a run's epochs one as `a` and one as `b`. */
const names = ['pick', 'a', 'b'];

const boxesOf = (name: string): HTMLInputElement[] =>
  findAll<HTMLInputElement>(`input[name=${name}]:is([type=checkbox], [type=radio])`);

/** Ids have no dot. */
const SEPARATOR = '.';

export const startPicks = (): void => {
  const query = new URL(location.href).searchParams;
  for (const name of names) {
    const picked = query.get(name)?.split(SEPARATOR);
    if (picked === undefined) continue;
    for (const box of boxesOf(name)) box.checked = picked.includes(box.value);
  }
  document.addEventListener('change', ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    const { name } = target;
    if (!names.includes(name)) return;
    const picked = boxesOf(name)
      .filter(({ checked }) => checked)
      .map(({ value }) => value);
    setAddress({ [name]: picked.join(SEPARATOR) });
  });
};
