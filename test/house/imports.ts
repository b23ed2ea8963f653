/** The import table of the house, and the checker that holds every file to it. */
import { parseSync } from '@swc/core';
import { posix } from 'node:path';

/** What a room may import: a room, or one file of it; `type:` in front where only types may be taken. */
export const table: Readonly<Record<string, readonly string[]>> = {
  cli: ['dashboards', 'engine', 'workflows', 'activities', 'ranking', 'db', 'recipes', 'native'],
  dashboards: ['db', 'ranking', 'recipes', 'engine/client.ts'],
  engine: ['workflows', 'activities', 'db', 'recipes'],
  workflows: ['type:activities', 'recipes'],
  activities: [
    'native/protocol.ts',
    'native/build.ts',
    'native/errors.ts',
    'native/clip-tokenizer.ts',
    'db',
    'ranking',
    'recipes',
  ],
  ranking: [],
  // Errors are the one value that db takes: everything that fails in it has a code.
  db: ['type:recipes', 'recipes/errors.ts', 'recipes/nearest.ts'],
  recipes: [],
  native: [],
};

/** Rooms that may look at everything, and that nothing looks at. */
export const outside = ['test', 'bench'];

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  path: string;
  text: string;
}

export interface Import {
  /** As written: './a.ts', 'zod'. */
  from: string;
  typeOnly: boolean;
}

/** Every way a file takes from another that breaks the table, one sentence each. */
export function violations(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const room = roomOf(path);
    if (outside.includes(room) || !path.includes('/')) return [];
    if (table[room] === undefined) return [`${path} is in ${room}/, which is no room of the house`];
    return importsOf(text).flatMap((found) => breach(path, room, found));
  });
}

const roomOf = (path: string): string => path.split('/')[0]!;

function breach(path: string, room: string, { from, typeOnly }: Import): string[] {
  if (!from.startsWith('.')) return [];
  const target = posix.join(posix.dirname(path), from);
  const other = roomOf(target);
  if (other === room) return [];
  if (outside.includes(other)) return [`${path} imports ${target}: nothing imports from ${other}/`];
  const allowed = (entry: string) => entry === other || entry === target;
  const rules = table[room] ?? [];
  if (rules.some(allowed)) return [];
  const types = rules.filter((rule) => rule.startsWith('type:')).map((rule) => rule.slice(5));
  if (!types.some(allowed)) return [`${path} imports ${target}: ${room}/ may not import ${other}/`];
  return typeOnly ? [] : [`${path} imports values of ${target}: ${room}/ may only take its types`];
}

export function importsOf(text: string): Import[] {
  const found: Import[] = [];
  walk(parseSync(text, { syntax: 'typescript', target: 'es2022' }), found);
  return found;
}

/** Statements at the top, and `import()` anywhere, also in a type. */
function walk(node: unknown, found: Import[]): void {
  if (Array.isArray(node)) return node.forEach((inner) => walk(inner, found));
  if (typeof node !== 'object' || node === null) return;
  const { type } = node as { type?: string };
  if (
    type === 'ImportDeclaration' ||
    type === 'ExportNamedDeclaration' ||
    type === 'ExportAllDeclaration'
  ) {
    const { source, typeOnly = false, specifiers = [] } = node as unknown as Statement;
    if (source?.value !== undefined) {
      const inner =
        specifiers.length > 0 && specifiers.every(({ isTypeOnly }) => isTypeOnly === true);
      found.push({ from: source.value, typeOnly: typeOnly || inner });
    }
  }
  if (type === 'TsImportType') {
    found.push({
      from: (node as unknown as { argument: { value: string } }).argument.value,
      typeOnly: true,
    });
  }
  if (type === 'CallExpression') {
    const { callee, arguments: [first] = [] } = node as unknown as Call;
    const from = first?.expression.value;
    if (callee.type === 'Import' && from !== undefined) found.push({ from, typeOnly: false });
  }
  for (const inner of Object.values(node)) walk(inner, found);
}

interface Statement {
  source?: { value: string } | null;
  typeOnly?: boolean;
  specifiers?: { isTypeOnly?: boolean }[];
}

interface Call {
  callee: { type: string };
  arguments?: { expression: { value?: string } }[];
}
