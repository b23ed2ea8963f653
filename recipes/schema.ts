/**
 * The recipe: what a run is made from, together with its data and its base. Every key has a
 * description (docs/reference/recipe.md is tested against them), a range and a default.
 */
import { z } from 'zod';
import { dataSchema } from './sections/data.ts';
import { int } from './sections/fields.ts';
import { lora, model } from './sections/model.ts';
import { samples } from './sections/samples.ts';
import { train } from './sections/train.ts';
import { checkpoints, cost, validation } from './sections/upkeep.ts';
import { settle } from './settle.ts';

export { dataSchema } from './sections/data.ts';
export { MAX_PROMPT_LENGTH, MAX_PROMPTS, promptSchema } from './sections/samples.ts';

const nativeTrainer = z.enum(['tiller-diffusion']);
const ownTrainer = z.strictObject({
  command: z
    .array(z.string().min(1))
    .min(1)
    .max(64)
    .describe('Program and arguments; see native/PROTOCOL.md'),
});

export const writtenSchema = z.strictObject({
  name: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
      'letters, digits, dots, dashes and underscores, at most 64',
    )
    .describe('Name of the run; a number is added if it is taken')
    .default('run'),
  trainer: z
    .union([nativeTrainer, ownTrainer])
    .describe('A trainer of ours, or a program that speaks native/PROTOCOL.md')
    .default('tiller-diffusion'),
  settings: z
    .record(z.string(), z.unknown())
    .describe('Whatever a trainer of your own wants to read')
    .default({}),
  seed: int('Seed of everything that is drawn').min(0).max(4_294_967_295).default(42),
  device: z
    .enum(['auto', 'cpu', 'ggml-cpu', 'cuda', 'vulkan', 'metal'])
    .describe(
      'Where the model is trained; auto: CUDA, else Metal, else Vulkan on a GPU, else cpu. Settled when the run starts',
    )
    .default('auto'),
  threads: int('Threads on a CPU; 0: as many as there are cores').min(0).max(1024).default(0),
  priority: int('1 is first in the queue, 5 is last').min(1).max(5).default(3),
  base: z
    .string()
    .describe('Checkpoint that training starts from; left out: from the seed')
    .optional(),
  vae: z.string().min(1).describe("Another VAE than the base's own (sd1)").optional(),
  model: model.prefault({}),
  lora: lora.optional(),
  data: dataSchema.optional(),
  train: train.prefault({}),
  samples: samples.prefault({}),
  validation: validation.prefault({}),
  checkpoints: checkpoints.prefault({}),
  cost: cost.prefault({}),
});

export const recipeSchema = writtenSchema.transform(settle);

/** A recipe with every default filled in. Paths are still as written; `parseRecipe` makes them absolute. */
export type Recipe = z.infer<typeof recipeSchema>;
/** A recipe as a person writes it. */
export type RecipeInput = z.input<typeof recipeSchema>;
export type Prompt = Recipe['samples']['prompts'][number];
export type DataSettings = NonNullable<Recipe['data']>;
