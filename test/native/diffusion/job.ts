/** A tiny data set and jobs for tiller-diffusion: a model that does a step in milliseconds. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Job } from '../../../native/protocol.ts';
import { recipeSchema, type RecipeInput } from '../../../recipes/schema.ts';

export const SIDE = 16;
export const STEPS = 20;

const captions = ['red square', 'blue square', 'green circle', 'red circle', 'a blue circle'];

/** Pictures of one colour and some noise, all different; a function of nothing. */
export async function writeData(folder: string, count = 24): Promise<string> {
  await mkdir(folder, { recursive: true });
  const bytes = SIDE * SIDE * 3;
  const pixels = Buffer.alloc(count * bytes);
  let state = 7;
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const picture = Math.floor(i / bytes);
    pixels[i] = ((picture * (37 + (i % 3) * 20)) % 200) + (state >>> 27);
  }
  const items = Array.from({ length: count }, (_, index) => {
    const picture = pixels.subarray(index * bytes, (index + 1) * bytes);
    const key = createHash('sha256').update(picture).digest('hex').slice(0, 16);
    const text = captions[index % captions.length] ?? '';
    return {
      key,
      file: `${index}.png`,
      width: SIDE,
      height: SIDE,
      bucket: [SIDE, SIDE],
      offset: index * bytes,
      repeats: 1,
      regularisation: false,
      captions: [
        { text, weight: 1 },
        { text: `${text} again`, weight: 0.5 },
      ],
    };
  });
  const manifest = {
    version: 2,
    hash: 'test',
    channels: 3,
    pixels: 'pixels.u8',
    train: items.slice(4),
    validation: items.slice(0, 4),
  };
  await writeFile(join(folder, 'pixels.u8'), pixels);
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  return join(folder, 'manifest.json');
}

export const tinyRecipe: RecipeInput = {
  model: {
    base_channels: 16,
    channel_multipliers: [1, 2],
    attention_levels: [1],
    heads: 2,
    text: { tokens: 6, width: 16, layers: 1, heads: 2, train: true },
  },
  data: { folder: '/unused', caption_dropout: 0.2, flip: true },
  train: { epochs: 3, steps_per_epoch: STEPS, batch: 4, warmup_steps: 5, ema: 0.9 },
  samples: {
    prompts: ['red circle', { text: 'blue square', negative: 'red', width: 32, height: 8 }],
    steps: 4,
  },
  validation: { bins: 3, repeats: 2 },
  checkpoints: { every_seconds: 3600 },
};

/** Deep enough for recipes: objects are merged, everything else is replaced. */
export function merge(base: RecipeInput, changes: Record<string, unknown>): RecipeInput {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const before = merged[key];
    const both = isObject(before) && isObject(value);
    merged[key] = both ? merge(before as RecipeInput, value) : value;
  }
  return merged as RecipeInput;
}
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface Place {
  folder: string;
  manifest: string;
}

/** A run's folder, beside others over the same data. */
export async function newRun(folder: string, manifest: string): Promise<Place> {
  await mkdir(join(folder, 'checkpoints'), { recursive: true });
  await mkdir(join(folder, 'samples'), { recursive: true });
  await writeFile(join(folder, 'followed'), '');
  return { folder, manifest };
}

export type JobChanges = Partial<Omit<Job, 'recipe'>> & { recipe?: Record<string, unknown> };

export function jobFor({ folder, manifest }: Place, { recipe = {}, ...changes }: JobChanges): Job {
  return {
    protocol: 1,
    run: 'run1',
    stage: 'train',
    epoch: 1,
    first_step: 0,
    last_step: STEPS,
    folder,
    resume: null,
    fingerprint: { recipe: 'r', data: 'd', base: '' },
    seed: 42,
    device: 'cpu',
    threads: 1,
    recipe: recipeSchema.parse(merge(tinyRecipe, recipe)),
    data: { manifest },
    orphan: { follow_file: join(folder, 'followed'), after_seconds: 3600 },
    ...changes,
  };
}

/** The SHA-256 of every file that decides how training goes on, by its name. */
export async function contents(checkpoint: string): Promise<Record<string, string>> {
  const { files } = JSON.parse(await readFile(join(checkpoint, 'manifest.json'), 'utf8')) as {
    files: Record<string, { sha256: string }>;
  };
  return Object.fromEntries(Object.entries(files).map(([name, { sha256 }]) => [name, sha256]));
}

export const checkpointPath = ({ folder }: Place, step: number): string =>
  join(folder, 'checkpoints', `step-${String(step).padStart(8, '0')}`);

/** Rewrites a file of a checkpoint, and its hash. */
export async function replaceFile(checkpoint: string, name: string, bytes: Buffer): Promise<void> {
  await writeFile(join(checkpoint, name), bytes);
  const file = join(checkpoint, 'manifest.json');
  const written = JSON.parse(await readFile(file, 'utf8')) as { files: Record<string, unknown> };
  written.files[name] = {
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
  await writeFile(file, JSON.stringify(written));
}
