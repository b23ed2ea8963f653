/** TOML, which kohya's trainers are configured in. */
import { parse, TomlError } from 'smol-toml';
import { TillerError } from './errors.ts';
import type { WrittenDocument } from './read-document.ts';
import type { Path } from './shape.ts';

export function readToml(text: string, file: string | undefined): WrittenDocument {
  const value = parsed(text, file ?? 'The recipe');
  const lines = linesOf(text);
  return {
    value,
    source: {
      file,
      // What stands inside a value is at the value's line.
      lineOf(path) {
        for (let length = path.length; length > 0; length--) {
          const line = lines.get(path.slice(0, length).join('\n'));
          if (line !== undefined) return line;
        }
        return undefined;
      },
    },
  };
}

function parsed(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '');
    throw new TillerError(
      'RECIPE_SYNTAX',
      `${file} is not valid TOML at line ${error.line}, column ${error.column}: ${what}`,
      { hint: 'Mend that line; text is quoted in TOML, and true and false are not.', cause: error },
    );
  }
}

const KEY = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/;
const TABLE = /^\s*\[(\[?)\s*([^\]]+?)\s*\]/;

/** The parser gives no places: keys are looked for at the beginnings of lines. */
function linesOf(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  const counts = new Map<string, number>(); // of [[tables]]
  let table: Path = [];
  const note = (path: Path, line: number) => {
    const name = path.join('\n');
    if (!lines.has(name)) lines.set(name, line);
  };
  for (const [index, line] of text.split('\n').entries()) {
    const [, list, name] = TABLE.exec(line) ?? [];
    const [, key] = KEY.exec(line) ?? [];
    if (key !== undefined) note([...table, ...partsOf(key)], index + 1);
    else if (name !== undefined) {
      table = placed(partsOf(name), list === '[', counts);
      note(table, index + 1);
    }
  }
  return lines;
}

const partsOf = (dotted: string): string[] =>
  (dotted.match(/[\w-]+|"[^"]*"|'[^']*'/g) ?? []).map((part) => part.replace(/^["']|["']$/g, ''));

/** With the index of each list of tables on the way. */
function placed(parts: readonly string[], isList: boolean, counts: Map<string, number>): Path {
  const path: (string | number)[] = [];
  for (const [depth, part] of parts.entries()) {
    path.push(part);
    const name = path.join('\n');
    const isLast = depth === parts.length - 1;
    if (isLast && isList) counts.set(name, (counts.get(name) ?? -1) + 1);
    const index = counts.get(name);
    if (index !== undefined) path.push(index);
  }
  return path;
}
