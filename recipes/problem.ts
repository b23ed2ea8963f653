import { TillerError } from './errors.ts';
import type { Path } from './shape.ts';

/** One thing that is wrong with a recipe: `subject: what (where). advice`. */
export interface Problem {
  path: Path;
  /** What is named first; the dotted path if left out. */
  subject?: string;
  what: string;
  advice?: string;
  /** The place is the key's, not its value's. */
  atKey?: boolean;
}

/** A recipe that can't be used. Each problem is a line of its own. */
export class RecipeError extends TillerError {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super('RECIPE_INVALID', problems.join('\n'));
    this.problems = problems;
  }

  override get line(): string {
    return this.problems.map((problem) => `${problem} [${this.code}]`).join('\n');
  }
}

/** train.epochs, samples.prompts.0.text; "the recipe" for the whole. */
export const dotted = (path: Path): string => path.join('.') || 'the recipe';

/** A value as it is quoted in a message. */
export function quoted(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}
