import { availableParallelism } from 'node:os';
import type { NewRun } from '../db/runs.ts';
import type { ParsedRecipe } from '../recipes/parse.ts';

/** What the record keeps of a recipe in columns of their own. `device` is no longer `auto` here. */
export const runFields = ({ recipe, hash }: Omit<ParsedRecipe, 'notes'>): NewRun => ({
  name: recipe.name,
  recipe,
  recipeHash: hash,
  device: recipe.device,
  threads: recipe.threads || availableParallelism(),
  priority: recipe.priority,
  epochs: recipe.train.epochs,
  trainer: typeof recipe.trainer === 'string' ? recipe.trainer : recipe.trainer.command.join(' '),
});
