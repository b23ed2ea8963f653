import { z } from 'zod';
import { SAMPLERS } from '../sampler-names.ts';
import { flag, int, share, text } from './fields.ts';

export const MAX_PROMPT_LENGTH = 2_000;
export const MAX_PROMPTS = 256;

const guidance = (description: string) => z.number().min(0).max(100).describe(description);
const pad = (side: string) => int(`Pixels that are added ${side}`).min(0).max(4096).default(0);

const outpaint = z
  .strictObject({
    left: pad('on the left'),
    top: pad('above'),
    right: pad('on the right'),
    bottom: pad('below'),
    overlap: int('Pixels of the picture, along the sides that grow, that are made anew too')
      .min(0)
      .max(1024)
      .default(32),
  })
  .describe('A larger canvas around the picture, of which the rest is made');

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
    steps: int('Sampling steps; left out: samples.steps').min(1).max(1000).optional(),
    guidance: guidance('Classifier-free guidance; left out: samples.guidance').optional(),
    picture: text('A picture to begin from; its sides are those of the sample').min(1).optional(),
    strength: share('How much of the picture is made anew; 0 is the picture itself').optional(),
    mask: text('A picture of the same size: white is made anew, black stays').min(1).optional(),
    outpaint: outpaint.optional(),
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
    prompts_file: text(
      'More prompts, one a line; --n negative, --w width, --h height, --d seed, --s steps, --l guidance',
    )
      .min(1)
      .optional(),
    sampler: z.enum(SAMPLERS).describe('Sampler').default('ddim'),
    spacing: z
      .enum(['trailing', 'leading', 'linspace'])
      .describe('Where the timesteps of a walk lie')
      .default('trailing'),
    karras: flag("Karras's noise levels instead of the spacing's").default(false),
    eta: share('Fresh noise of a step, for ddim and euler-a; left out: 0 and 1').optional(),
    steps: int('Sampling steps').min(1).max(1000).default(20),
    guidance: guidance('Classifier-free guidance; left out: 7 with sd1, else 3').optional(),
    batch: int('Pictures of one size that are made at once: quicker on a GPU, and more memory')
      .min(1)
      .max(64)
      .default(1),
    weights: z.enum(['ema', 'raw']).describe('Weights that samples are made with').default('ema'),
  })
  .describe('Samples');
