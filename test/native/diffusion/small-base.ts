/** A Stable Diffusion 1.x base that trains in milliseconds, and data in three shapes for it. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { buildNative } from '../../../native/build.ts';
import { writeClipTokenizer } from '../../../native/clip-tokenizer.ts';
import { recipeSchema, type RecipeInput } from '../../../recipes/schema.ts';
import { type JobChanges, jobFor, merge, type Place } from './job.ts';

export interface SmallBase {
  base: string;
  tokenizer: string;
}

export async function makeSmallBase(path: string, ...args: string[]): Promise<SmallBase> {
  const maker = await buildNative('make_small_base');
  await execa(maker.path, [path, ...args]);
  return { base: path, tokenizer: (await writeClipTokenizer()).path };
}

/** Stored width and height, and the bucket that they cover. */
const SHAPES = [
  { width: 16, height: 16, bucket: [16, 16] },
  { width: 26, height: 16, bucket: [24, 16] },
  { width: 16, height: 25, bucket: [16, 24] },
] as const;

export const ODD_CAPTIONS = ['a red square, flat, bright', 'ink drawing of a cat', 'blue, round'];

/** Eleven pictures in three shapes; one bucket has a single one. The second is masked. */
export async function writeShapedData(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const items = [];
  const pixels: Buffer[] = [];
  let offset = 0;
  let state = 11;
  for (let i = 0; i < 12; i++) {
    const shape = SHAPES[i === 5 ? 2 : i % 2]!;
    const bytes = Buffer.alloc(shape.width * shape.height * 3);
    for (let k = 0; k < bytes.length; k++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bytes[k] = ((i * 41 + (k % 3) * 60) % 200) + (state >>> 27);
    }
    items.push({
      key: createHash('sha256').update(bytes).digest('hex').slice(0, 16),
      file: `${i}.png`,
      ...shape,
      offset,
      ...(i === 1 ? { mask_offset: 0 } : {}),
      repeats: i === 2 ? 2 : 1,
      regularisation: i === 3,
      captions: [{ text: ODD_CAPTIONS[i % 3]!, weight: 1 }],
    });
    pixels.push(bytes);
    offset += bytes.length;
  }
  await writeFile(join(folder, 'pixels.u8'), Buffer.concat(pixels));
  const mask = Buffer.alloc(26 * 16, 255).fill(0, 0, 26 * 8);
  await writeFile(join(folder, 'masks.u8'), mask);
  const [validation, train] = [items.slice(11), items.slice(0, 11)];
  const manifest = {
    version: 2,
    hash: 'shapes',
    channels: 3,
    pixels: 'pixels.u8',
    masks: 'masks.u8',
  };
  await writeFile(
    join(folder, 'manifest.json'),
    JSON.stringify({ ...manifest, train, validation }),
  );
  return join(folder, 'manifest.json');
}

/** Of all that a LoRA run can be made of. */
export const loraRecipe = (base: string): RecipeInput => ({
  base,
  model: { architecture: 'sd1' },
  lora: { rank: 4, alpha: 2, conv_rank: 2 },
  data: {
    folder: '/unused',
    resolution: 64,
    caption_dropout: 0.2,
    flip: true,
    crop: 'random',
    shuffle_captions: true,
    prior_loss_weight: 0.5,
  },
  train: {
    epochs: 3,
    batch: 2,
    accumulation: 2,
    learning_rate: 1e-3,
    text_encoder: true,
    text_encoder_learning_rate: 5e-4,
    noise_offset: 0.1,
    min_snr_gamma: 5,
    warmup_steps: 2,
    ema: 0.9,
  },
  samples: {
    prompts: [{ text: '(cat:1.3), ink', width: 16, height: 24 }, 'a red square'],
    steps: 3,
    sampler: 'euler-a',
  },
  validation: { bins: 2, repeats: 1 },
  checkpoints: { every_seconds: 3600 },
});

/** Two in 16², six in 24×16 and one in 16×24: 3 + 3 + 1 micro-batches of 2, so 4 steps of 2. */
export const LORA_STEPS = 4;

export const sd1Job = (
  where: Place,
  { base, tokenizer }: SmallBase,
  { recipe = {}, ...changes }: JobChanges,
) => ({
  ...jobFor(where, { last_step: LORA_STEPS, ...changes }),
  recipe: recipeSchema.parse(
    merge(
      loraRecipe(base),
      merge({ train: { steps_per_epoch: LORA_STEPS } }, recipe) as Record<string, unknown>,
    ),
  ),
  tokenizer,
  latents: { folder: join(where.folder, '..', 'latents'), origin: 'small' },
});
