/** A recipe's text, in YAML (and so JSON) or TOML, as a value that knows its lines. */
import type { Source } from './aliases/setting.ts';
import { TillerError } from './errors.ts';
import { readToml } from './read-toml.ts';
import { readYaml } from './read-yaml.ts';

export interface WrittenDocument {
  value: Record<string, unknown>;
  source: Source;
}

/** Beyond this a file is not a recipe, and aliases in it may be a bomb. */
const MAX_CHARACTERS = 1_000_000;

/** Errors: RECIPE_SYNTAX. */
export function readDocument(text: string, file: string | undefined): WrittenDocument {
  if (text.length > MAX_CHARACTERS) {
    throw new TillerError(
      'RECIPE_SYNTAX',
      `${file ?? 'The recipe'} has ${text.length} characters`,
      {
        hint: `A recipe has at most ${MAX_CHARACTERS}; is this the right file?`,
      },
    );
  }
  return /\.toml$/i.test(file ?? '') ? readToml(text, file) : readYaml(text, file);
}
