import { type Document, isMap, isNode, isPair, LineCounter, parseDocument } from 'yaml';
import { TillerError } from './errors.ts';
import type { WrittenDocument } from './read-document.ts';
import type { Path } from './shape.ts';

export function readYaml(text: string, file: string | undefined): WrittenDocument {
  const lines = new LineCounter();
  const document = parse(text, lines, file);
  return {
    value: toValue(document, file),
    source: {
      file,
      lineOf(path, atKey) {
        const start = startOf(document, path, atKey);
        return start === undefined ? undefined : lines.linePos(start).line;
      },
    },
  };
}

function parse(text: string, lineCounter: LineCounter, file = 'The recipe'): Document {
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [mistake] = [...document.errors, ...document.warnings];
  if (mistake === undefined) return document as Document;
  const { line, col } = lineCounter.linePos(mistake.pos[0]);
  throw new TillerError(
    'RECIPE_SYNTAX',
    `${file} is not valid YAML at line ${line}, column ${col}: ${mistake.message}`,
    { hint: 'Mend that line; indent with spaces, and quote text that holds ": " or " #".' },
  );
}

function toValue(document: Document, file = 'The recipe'): Record<string, unknown> {
  if (document.contents !== null && !isMap(document.contents)) {
    throw new TillerError('RECIPE_SYNTAX', `${file} is not a set of keys and values`, {
      hint: 'See recipes/examples/demo.yaml.',
    });
  }
  try {
    return (document.toJS({ maxAliasCount: 100 }) as Record<string, unknown> | null) ?? {};
  } catch (error) {
    throw new TillerError('RECIPE_SYNTAX', `${file} cannot be read: ${(error as Error).message}`, {
      hint: 'Write values out instead of using YAML aliases.',
      cause: error,
    });
  }
}

/** Where a key or its value begins; for a missing one, where its section does. */
function startOf(document: Document, path: Path, atKey: boolean): number | undefined {
  if (atKey || document.getIn(path, true) === undefined) {
    const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    const pair = isMap(parent)
      ? parent.items.find((item) => isPair(item) && String(item.key) === String(path.at(-1)))
      : undefined;
    if (pair !== undefined && isNode(pair.key)) return pair.key.range?.[0];
    return path.length > 1 ? startOf(document, path.slice(0, -1), true) : undefined;
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}
