import { z } from 'zod';
import { int } from './fields.ts';

export const validation = z
  .strictObject({
    bins: int('Timesteps at which held-out pictures are measured, evenly spread')
      .min(1)
      .max(100)
      .default(8),
    repeats: int('Fixed noises a picture and timestep').min(1).max(100).default(1),
    weights: z.enum(['ema', 'raw']).describe('Weights that are measured').default('ema'),
  })
  .describe('Validation with fixed noise at fixed timesteps');

export const checkpoints = z
  .strictObject({
    every_seconds: z
      .number()
      .min(0.05)
      .max(86_400)
      .describe('Seconds between rolling checkpoints')
      .default(60),
    keep_rolling: int('Rolling checkpoints that are kept').min(1).max(100).default(2),
  })
  .describe('Checkpoints; one an epoch is always kept');

export const cost = z
  .strictObject({
    watts: z
      .number()
      .min(0)
      .max(100_000)
      .describe('Power of the machine while training, where no meter can be read')
      .default(65),
    price_per_kwh: z.number().min(0).max(1000).describe('Price of a kilowatt-hour').default(0.3),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/)
      .describe('ISO 4217 code')
      .default('EUR'),
  })
  .describe('Cost');
