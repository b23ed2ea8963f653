import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';

/** This room; includes are written relative to it: `#include "layers/conv.h"`. */
export const nativeFolder = import.meta.dirname;

/** The source file of a target: a path, or a name in one of the folders that hold programs. */
export function sourceOf(target: string): string {
  const candidates = target.endsWith('.cpp')
    ? [resolve(target)]
    : ['trainers', 'tests', 'bench'].map((folder) => join(nativeFolder, folder, `${target}.cpp`));
  const found = candidates.find((file) => existsSync(file));
  if (found === undefined) {
    const looked = candidates.map((file) => relative(process.cwd(), file)).join(', ');
    throw new Error(`There is no native program "${target}": looked for ${looked}`);
  }
  return found;
}

/**
 * A program's own files with their text: its source, and every header of ours that it includes.
 * Headers that aren't found beside the file or in native/ are a library's; their release is hashed.
 */
export async function collectSources(source: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  const waiting = [source];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (texts.has(file)) continue;
    const text = await readFile(file, 'utf8');
    texts.set(file, text);
    for (const [, name = ''] of text.matchAll(/^[ \t]*#[ \t]*include[ \t]*"([^"]+)"/gm)) {
      const header = [join(dirname(file), name), join(nativeFolder, name)].find((path) =>
        existsSync(path),
      );
      if (header !== undefined) waiting.push(header);
    }
  }
  return new Map([...texts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
