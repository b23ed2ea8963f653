/** kohya's `dataset_config`: a second file, with the folders. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isEmpty, isRecord, type SettingProblem, type Source, wrong } from './aliases/setting.ts';
import { resolvePath } from './paths.ts';
import { readDocument, type WrittenDocument } from './read-document.ts';
import type { Path } from './shape.ts';

const KEY = 'dataset_config';

export function readNamedFiles(
  document: Record<string, unknown>,
  source: Source,
  folder: string,
): {
  documents: { document: Record<string, unknown>; source: Source }[];
  problems: SettingProblem[];
} {
  const found = find(document);
  if (found === undefined || isEmpty(found.value)) return { documents: [], problems: [] };
  const { value, path } = found;
  const setting = { name: KEY, value, path, source };
  try {
    const read = readFile(resolvePath(String(value), folder));
    return { documents: [{ document: read.value, source: read.source }], problems: [] };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!['ENOENT', 'EISDIR', 'EACCES', 'ENOTDIR'].includes(code ?? '')) throw error;
    const what = `${String(value)} cannot be read (${code})`;
    return {
      documents: [],
      problems: [wrong(setting, what, 'A relative path starts at the recipe.')],
    };
  }
}

const readFile = (path: string): WrittenDocument =>
  readDocument(readFileSync(path, 'utf8'), basename(path));

function find(document: Record<string, unknown>): { value: unknown; path: Path } | undefined {
  if (Object.hasOwn(document, KEY)) return { value: document[KEY], path: [KEY] };
  for (const [section, inner] of Object.entries(document)) {
    if (isRecord(inner) && Object.hasOwn(inner, KEY)) {
      return { value: inner[KEY], path: [section, KEY] };
    }
  }
  return undefined;
}
