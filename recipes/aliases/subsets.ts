/** Several folders in one file: kohya's `[[datasets.subsets]]` and ai-toolkit's `datasets`. */
import type { Path } from '../shape.ts';
import { isRecord, type Setting, type SettingProblem, type Source, wrong } from './setting.ts';

/** A folder's settings, with those of the levels above that it doesn't have itself. */
export type Subset = Setting[];

const FOLDERS = ['image_dir', 'folder_path'];

export function fromSubsets(subsets: readonly Subset[]): {
  settings: Setting[];
  problems: SettingProblem[];
} {
  const named = (subset: Subset, ...names: string[]) =>
    subset.find(({ name }) => names.includes(name));
  const isRegularisation = (subset: Subset) => named(subset, 'is_reg')?.value === true;
  const [first, second] = subsets.filter((subset) => !isRegularisation(subset));
  const [regularisation, another] = subsets.filter(isRegularisation);
  const problems = [second, another].flatMap((subset) => {
    const folder = subset && (named(subset, ...FOLDERS) ?? subset[0]);
    if (folder === undefined) return [];
    return [
      wrong(
        folder,
        'a second folder of the same kind',
        'One is read here: put both into it, as folders such as "10_red barn", the number being repeats.',
      ),
    ];
  });
  const folder = regularisation && named(regularisation, ...FOLDERS);
  const settings = (first ?? []).filter(({ name }) => name !== 'is_reg');
  return {
    settings: folder === undefined ? settings : [...settings, { ...folder, name: 'reg_data_dir' }],
    problems,
  };
}

/** Of kohya's `general`, `datasets` and `datasets.subsets`: the inner one counts. */
export function subsetsOf(document: Record<string, unknown>, source: Source): Subset[] {
  const here = (section: unknown, path: Path): Setting[] =>
    isRecord(section)
      ? Object.entries(section)
          .filter(([, value]) => !Array.isArray(value) || !value.some(isRecord))
          .map(([name, value]) => ({ name, value, path: [...path, name], source }))
      : [];
  const general = here(document['general'], ['general']);
  return ['datasets', 'dataset'].flatMap((key) =>
    listOf(document[key]).flatMap((dataset, at) => {
      const own = here(dataset, [key, at]);
      return ['subsets', 'subset'].flatMap((inner) =>
        listOf(isRecord(dataset) ? dataset[inner] : undefined).map((subset, index) =>
          innermost([general, own, here(subset, [key, at, inner, index])]),
        ),
      );
    }),
  );
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function innermost(levels: readonly Setting[][]): Subset {
  const byName = new Map<string, Setting>();
  for (const setting of levels.flat()) byName.set(setting.name, setting);
  return [...byName.values()];
}
