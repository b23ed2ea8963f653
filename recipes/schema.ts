/**
 * The recipe: what a run is made from, together with its data and its base. Every key has a
 * description (docs/reference/recipe.md is tested against them), a range and a default.
 */
import { z } from 'zod';

const int = (description: string) => z.number().int().describe(description);
const text = (description: string) => z.string().describe(description);

const textModel = z
  .strictObject({
    tokens: int('Tokens of a prompt that the model sees; longer prompts are cut')
      .min(2)
      .max(77)
      .default(12),
    width: int('Width of a token').min(8).max(1024).default(64),
    layers: int('Transformer layers; 0 is a bag of fixed words with positions')
      .min(0)
      .max(24)
      .default(0),
    heads: int('Attention heads of a layer').min(1).max(32).default(4),
    train: z.boolean().describe('Train the text model too').default(false),
    embedding_deviation: z
      .number()
      .positive()
      .max(10)
      .describe('Standard deviation of the token embeddings at the start')
      .default(1),
    position_deviation: z
      .number()
      .nonnegative()
      .max(10)
      .describe('Standard deviation of the position embeddings at the start')
      .default(0.3),
  })
  .describe('The text encoder (CLIP-style)');

const model = z
  .strictObject({
    architecture: z
      .enum(['sd1-unet'])
      .describe("Stable Diffusion 1.x's U-Net with free sizes")
      .default('sd1-unet'),
    latent: z
      .enum(['space-to-depth-2', 'pixels'])
      .describe('How pictures become latents')
      .default('space-to-depth-2'),
    base_channels: int('Channels of the first level').min(8).max(1280).default(32),
    channel_multipliers: z
      .array(int('Channels of a level, as a multiple').min(1).max(16))
      .min(1)
      .max(6)
      .describe('One number a level; each level halves the size')
      .default([1, 2, 4]),
    res_blocks: int('Residual blocks a level').min(1).max(4).default(1),
    attention_levels: z
      .array(int('A level, counted from 0').min(0).max(5))
      .describe('Levels that have spatial transformers')
      .default([0, 1, 2]),
    heads: int('Attention heads').min(1).max(32).default(4),
    text: textModel.prefault({}),
  })
  .describe('The model');

const data = z
  .strictObject({
    folder: text(
      'Folder of pictures, each with a caption of the same name ending in .txt or .caption',
    ).min(1),
    resolution: int('Pictures are fitted into a square of this many pixels')
      .min(8)
      .max(2048)
      .default(32),
    background: z
      .string()
      .regex(/^#[0-9a-fA-F]{6}$/)
      .describe('Colour under transparent pictures')
      .default('#ffffff'),
    validation_share: z
      .number()
      .min(0)
      .max(0.5)
      .describe('Share of the pictures that is held out, chosen by content hash')
      .default(0.06),
    caption_dropout: z
      .number()
      .min(0)
      .max(1)
      .describe('Share of the steps without a caption, which guidance needs')
      .default(0.1),
    flip: z.boolean().describe('Mirror half of the pictures').default(false),
  })
  .describe('The data set');

const train = z
  .strictObject({
    epochs: int('Epochs').min(1).max(100_000).default(13),
    steps_per_epoch: int('Optimizer steps an epoch; left out: one pass over the data')
      .min(1)
      .max(10_000_000)
      .optional(),
    batch: int('Pictures a micro-batch').min(1).max(4096).default(16),
    accumulation: int('Micro-batches a step').min(1).max(1024).default(1),
    prediction: z.enum(['epsilon', 'v']).describe('What the model predicts').default('v'),
    timesteps: int('Timesteps of the noise schedule').min(10).max(1000).default(1000),
    beta_start: z
      .number()
      .positive()
      .max(1)
      .describe('First beta of the noise schedule')
      .default(0.00085),
    beta_end: z
      .number()
      .positive()
      .max(1)
      .describe('Last beta of the noise schedule')
      .default(0.012),
    beta_schedule: z
      .enum(['scaled-linear', 'linear', 'cosine'])
      .describe('Noise schedule')
      .default('scaled-linear'),
    min_snr_gamma: z
      .number()
      .positive()
      .max(100)
      .describe('Min-SNR weighting (Hang et al. 2023); left out: none')
      .optional(),
    learning_rate: z.number().positive().max(1).describe('Peak learning rate').default(1e-3),
    schedule: z
      .enum(['constant', 'cosine', 'linear'])
      .describe('Learning rate after the warm-up')
      .default('constant'),
    warmup_steps: int('Steps of linear warm-up').min(0).max(1_000_000).default(100),
    beta1: z.number().min(0).lt(1).describe('AdamW: decay of the first moment').default(0.9),
    beta2: z.number().min(0).lt(1).describe('AdamW: decay of the second moment').default(0.99),
    epsilon: z.number().positive().max(1).describe('AdamW: epsilon').default(1e-8),
    weight_decay: z.number().min(0).max(1).describe('AdamW: decoupled weight decay').default(0.01),
    clip: z.number().positive().max(1000).describe('Largest gradient norm').default(1),
    ema: z
      .number()
      .min(0)
      .lt(1)
      .describe('Decay of the running mean of the weights; 0 switches it off')
      .default(0.995),
  })
  .describe('Training');

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

const samples = z
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
    sampler: z.enum(['ddim', 'dpm++2m']).describe('Sampler').default('ddim'),
    steps: int('Sampling steps').min(1).max(1000).default(20),
    guidance: z.number().min(0).max(100).describe('Classifier-free guidance').default(3),
    weights: z.enum(['ema', 'raw']).describe('Weights that samples are made with').default('ema'),
  })
  .describe('Samples');

const validation = z
  .strictObject({
    bins: int('Timesteps at which held-out pictures are measured, evenly spread')
      .min(1)
      .max(100)
      .default(8),
    repeats: int('Fixed noises a picture and timestep').min(1).max(100).default(1),
    weights: z.enum(['ema', 'raw']).describe('Weights that are measured').default('ema'),
  })
  .describe('Validation with fixed noise at fixed timesteps');

const checkpoints = z
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

const cost = z
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

const nativeTrainer = z.enum(['tiller-diffusion']);
const ownTrainer = z.strictObject({
  command: z
    .array(z.string().min(1))
    .min(1)
    .max(64)
    .describe('Program and arguments; see native/PROTOCOL.md'),
});

export const recipeSchema = z.strictObject({
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
    .describe('Where the model is trained')
    .default('cpu'),
  threads: int('Threads on a CPU; 0: as many as there are cores').min(0).max(1024).default(0),
  priority: int('1 is first in the queue, 5 is last').min(1).max(5).default(3),
  base: z
    .string()
    .describe('Checkpoint that training starts from; left out: from the seed')
    .optional(),
  model: model.prefault({}),
  data: data.optional(),
  train: train.prefault({}),
  samples: samples.prefault({}),
  validation: validation.prefault({}),
  checkpoints: checkpoints.prefault({}),
  cost: cost.prefault({}),
});

/** A recipe with every default filled in. Paths are still as written; `parseRecipe` makes them absolute. */
export type Recipe = z.infer<typeof recipeSchema>;
/** A recipe as a person writes it. */
export type RecipeInput = z.input<typeof recipeSchema>;
export type Prompt = Recipe['samples']['prompts'][number];
