/** A prompt that is added to a run after it began: held to what its recipe would have been held to. */
import { crosscheck } from './crosscheck.ts';
import { TillerError } from './errors.ts';
import { explain } from './explain.ts';
import { dotted, type Problem } from './problem.ts';
import { type Prompt, promptSchema, type Recipe } from './schema.ts';

/** Errors: RECIPE_INVALID, with all that is wrong. */
export function checkPrompt(recipe: Recipe, given: unknown): Prompt {
  const parsed = promptSchema.safeParse(given);
  const place = ['samples', 'prompts', 0];
  const problems = parsed.success
    ? crosscheck({ ...recipe, samples: { ...recipe.samples, prompts: [parsed.data] } }).filter(
        ({ path: [section] }) => section === 'samples',
      )
    : parsed.error.issues.flatMap((issue) =>
        explain(issue, { samples: { prompts: [given] } }, place),
      );
  if (parsed.success && problems.length === 0) return parsed.data;
  throw new TillerError('RECIPE_INVALID', problems.map(described).join(' '));
}

const described = ({ path, subject, what, advice }: Problem): string => {
  const key = ['prompt', ...path.slice(3)];
  return `${subject ?? dotted(key)}: ${what}.${advice === undefined ? '' : ` ${advice}`}`;
};
