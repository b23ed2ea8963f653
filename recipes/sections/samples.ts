import { z } from 'zod';
import { int, text } from './fields.ts';

export const MAX_PROMPT_LENGTH = 2_000;
export const MAX_PROMPTS = 256;

export const promptSchema = z
  .strictObject({
    text: z.string().max(MAX_PROMPT_LENGTH).describe('The prompt'),
    negative: z
      .string()
      .max(MAX_PROMPT_LENGTH)
      .describe('What guidance leads away from')
      .default(''),
    seed: int('Seed of the starting noise').min(0).max(4_294_967_295).default(7),
    width: int('Pixels').min(8).max(4096).optional(),
    height: int('Pixels').min(8).max(4096).optional(),
  })
  .describe('A prompt');

export const samples = z
  .strictObject({
    prompts: z
      .array(
        z.union([
          z
            .string()
            .max(MAX_PROMPT_LENGTH)
            .transform((words) => ({ text: words }))
            .pipe(promptSchema),
          promptSchema,
        ]),
      )
      .max(MAX_PROMPTS)
      .describe('Prompts that are sampled after every epoch, and before the first')
      .default([]),
    prompts_file: text('More prompts, one a line; --n negative, --w width, --h height, --d seed')
      .min(1)
      .optional(),
    sampler: z.enum(['ddim', 'dpm++2m']).describe('Sampler').default('ddim'),
    steps: int('Sampling steps').min(1).max(1000).default(20),
    guidance: z
      .number()
      .min(0)
      .max(100)
      .describe('Classifier-free guidance; left out: 7 with sd1, else 3')
      .optional(),
    weights: z.enum(['ema', 'raw']).describe('Weights that samples are made with').default('ema'),
  })
  .describe('Samples');
