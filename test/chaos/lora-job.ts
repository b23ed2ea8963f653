/** A LoRA with all that it can have: text encoder, accumulation, average, three shapes, dropped captions. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import sharp from 'sharp';
import { buildNative } from '../../native/build.ts';

export interface LoraChaos {
  base: string;
  pictures: string;
}

const SIZES = [
  [64, 64],
  [128, 64],
  [64, 128],
] as const;
const COLOURS = ['red', 'green', 'blue', 'orange', 'black', 'pink', 'gray', 'teal', 'navy'];

/** A base with CLIP's vocabulary and little else, and 27 captioned pictures in three shapes. */
export async function prepareLoraChaos(folder: string): Promise<LoraChaos> {
  const [base, pictures] = [join(folder, 'base.safetensors'), join(folder, 'pictures')];
  await execa((await buildNative('make_small_base')).path, [base]);
  await mkdir(pictures);
  for (const [shape, [width, height]] of SIZES.entries()) {
    for (const [index, colour] of COLOURS.entries()) {
      const name = `${colour}-${shape}`;
      const side = 20 + 4 * index;
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#eee"/><rect x="${5 + index}" y="${6 + shape}" width="${side}" height="${side - 6}" fill="${colour}"/></svg>`;
      await sharp(Buffer.from(svg))
        .png()
        .toFile(join(pictures, `${name}.png`));
      await writeFile(join(pictures, `${name}.txt`), `${colour} box, flat, shape ${shape}`);
    }
  }
  return { base, pictures };
}

export const loraChaosRecipe = (
  { base, pictures }: LoraChaos,
  { epochs, steps }: { epochs: number; steps: number },
): string => `
name: chaos
device: cpu
threads: 1
base: ${JSON.stringify(base)}
model: { architecture: sd1, clip_skip: 2 }
lora: { rank: 4, alpha: 2, conv_rank: 2 }
data: { folder: ${JSON.stringify(pictures)}, fit: buckets, resolution: 96, bucket_min: 64, bucket_max: 128, upscale: true, validation_share: 0.12, flip: true, caption_dropout: 0.2, shuffle_captions: true, keep_tokens: 1 }
train: { epochs: ${epochs}, steps_per_epoch: ${steps}, batch: 2, accumulation: 2, learning_rate: 0.001, text_encoder: true, text_encoder_learning_rate: 0.0005, ema: 0.99, warmup_steps: 20, schedule: cosine, min_snr_gamma: 5, noise_offset: 0.05 }
samples: { prompts: [a red box, {text: '(blue:1.3) box', width: 128, height: 64}], steps: 3, sampler: euler-a, guidance: 3 }
validation: { bins: 2 }
checkpoints: { every_seconds: 1, keep_rolling: 2 }
`;
