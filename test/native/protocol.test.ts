import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { trainerCommand, trainerEvent } from '../../native/protocol.ts';

const native = join(import.meta.dirname, '../../native');
const page = readFileSync(join(native, 'PROTOCOL.md'), 'utf8');
const source = readFileSync(join(native, 'protocol.ts'), 'utf8');

/** The rows of a section's first table, cell by cell. */
function tableOf(heading: string): string[][] {
  const section = page.split(`\n${heading}\n`)[1]?.split(/\n#+ /)[0] ?? '';
  const table = /\|[^\n]*\n\| --- [^\n]*\n((?:\|[^\n]*\n)*)/.exec(section)?.[1] ?? '';
  return table
    .split('\n')
    .filter(Boolean)
    .map((row) =>
      row
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** `step`, `epoch`?, … → ["step", "epoch?"]; names in brackets belong to the key before them. */
const keysIn = (cell: string): string[] => {
  let flat = cell;
  while (/[({[][^(){}[\]]*[)}\]]/.test(flat)) flat = flat.replaceAll(/[({[][^(){}[\]]*[)}\]]/g, '');
  return [...flat.matchAll(/`(\w+)`(\??)/g)].map(([, key, optional]) => `${key}${optional}`).sort();
};

/** Keys of an interface of protocol.ts, as they are written there. */
const keysOf = (name: string): string[] => {
  const body = new RegExp(`^export interface ${name} \\{\n(.*?)^\\}`, 'ms').exec(source)?.[1] ?? '';
  return [...body.matchAll(/^ {2}(\w+\??):/gm)].map(([, key]) => key!).sort();
};

interface Shape {
  shape: Record<string, { safeParse(value: unknown): { success: boolean } }>;
}
/** What a trainer may leave out has a `?`, but for what has a default: there it says nothing. */
const keysOfShape = ({ shape }: Shape, name: 'event' | 'command', documented: string[]) =>
  Object.entries(shape)
    .filter(([key]) => key !== name)
    .map(([key, type]) => {
      const optional = type.safeParse(undefined).success;
      return optional && documented.includes(`${key}?`) ? `${key}?` : key;
    })
    .sort();

describe.each([
  ['## Events', 'event', trainerEvent.options as unknown as Shape[]],
  ['## Commands', 'command', trainerCommand.options as unknown as Shape[]],
] as const)('%s of PROTOCOL.md', (heading, name, options) => {
  const rows = new Map(
    tableOf(heading).map(([first, keys]) => [keysIn(first!)[0]!, keysIn(keys!)]),
  );
  const byName = options.map((option) => {
    const literal = option.shape[name] as unknown as { value: string };
    return [literal.value, option] as const;
  });
  test('has a row for each, and no other', () => {
    expect([...rows.keys()].sort()).toEqual(byName.map(([each]) => each).sort());
  });
  test.each(byName)('%s: has its keys, and no other', (each, option) => {
    const documented = rows.get(each) ?? [];
    expect(documented).toEqual(keysOfShape(option, name, documented));
  });
});

test.each([
  ['## The job', 'Job'],
  ['### Prompts', 'JobPrompt'],
])('%s has the keys of %s, and says which may be left out', (heading, name) => {
  const documented = tableOf(heading).flatMap(([keys]) => keysIn(keys!));
  expect(keysOf(name).length).toBeGreaterThan(5);
  expect(documented.sort()).toEqual(keysOf(name));
});

test('the trainer’s checkpoints and prepared data are described as they are', () => {
  const state = readFileSync(join(native, 'diffusion/state.h'), 'utf8');
  const written = state.slice(state.indexOf('"state.json"'), state.indexOf('out.write(json'));
  const keys = [...written.matchAll(/\{"(\w+)", (?!state\.latent\.)|json\["(\w+)"\]/g)].map(
    ([, listed, added]) => listed ?? added!,
  );
  const row = page.split('\n').find((line) => line.startsWith('| `state.json`')) ?? '';
  expect(keys).toContain('lora');
  expect(
    keysIn(row)
      .filter((key) => key !== 'json')
      .sort(),
  ).toEqual([...new Set(keys)].sort());

  const types = readFileSync(join(native, '../activities/dataset/types.ts'), 'utf8');
  const item = /interface ManifestItem \{\n(.*?)^\}/ms.exec(types)?.[1] ?? '';
  const fields = [...item.matchAll(/^ {2}(\w+\??):/gm)].map(([, key]) => key!);
  const documented = tableOf('### The prepared data set').flatMap(([cell]) => keysIn(cell!));
  expect(documented.sort()).toEqual(fields.sort());
});
