import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { createProgram } from '../../cli/tiller.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/reference/cli.md'), 'utf8');

/** `## \`tiller up\`` → its body. */
const sections = new Map(
  [...page.matchAll(/^## `tiller ([^`]+)`\n([^]*?)(?=^## |(?![^]))/gm)].map(([, call, body]) => [
    call!,
    body!,
  ]),
);
const commands = (await createProgram()).commands.map((command) => ({
  call: [
    command.name(),
    ...command.registeredArguments.map((argument) => `<${argument.name()}>`),
  ].join(' '),
  options: command.options.map(({ flags }) => flags),
}));

describe('docs/reference/cli.md', () => {
  test('has a section for each command, with its arguments, and no other', () => {
    expect([...sections.keys()]).toEqual(commands.map(({ call }) => call));
  });
  test.each(commands)('$call: has its options, and no other', ({ call, options }) => {
    const rows = [...sections.get(call)!.matchAll(/^\| ((?:`--[^`]+`(?:, )?)+) \|/gm)];
    const documented = rows.flatMap(([, cell]) =>
      [...cell!.matchAll(/`([^`]+)`/g)].map(([, flags]) => flags!),
    );
    expect(documented.sort()).toEqual([...options].sort());
  });
});
