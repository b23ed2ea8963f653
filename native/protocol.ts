/**
 * The lines between Tiller and a trainer, as zod types. `PROTOCOL.md` tells the same in words.
 * Unknown keys are dropped, unknown events are ignored: a newer trainer still works.
 */
import { z } from 'zod';

export const PROTOCOL_VERSION = 1;

/** A number that may be NaN or infinite, which JSON writes as a string. */
const number = z.union([
  z.number(),
  z.enum(['NaN', 'Infinity', '-Infinity']).transform((word) => Number(word)),
]);
const count = z.number().int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const hello = z.object({
  event: z.literal('hello'),
  protocol: z.number().int(),
  trainer: z.string(),
  version: z.string(),
  device: z.string(),
  precision: z.string().optional(),
  fingerprint: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  knows: z.array(z.string()).default([]),
  parameters: count.optional(),
  trained: count.optional(),
});

const step = z.object({
  event: z.literal('step'),
  step: count,
  epoch: count,
  loss: number,
  lr: number.optional(),
  grad_norm: number.optional(),
  seen: count.optional(),
  ms: number.optional(),
  items_hash: z.string().optional(),
});

const validation = z.object({
  event: z.literal('validation'),
  step: count,
  epoch: count,
  loss: number,
  bins: z.array(z.object({ timestep: count, loss: number })).default([]),
  items: count.optional(),
  weights: z.enum(['raw', 'ema']).default('raw'),
});

const checkpoint = z.object({
  event: z.literal('checkpoint'),
  step: count,
  epoch: count,
  path: z.string(),
  sha256,
  bytes: count,
  kind: z.enum(['rolling', 'epoch', 'requested']),
});

const sample = z.object({
  event: z.literal('sample'),
  step: count,
  epoch: count,
  prompt: count,
  seed: z.number().int(),
  sampler: z.string(),
  sampling_steps: count,
  guidance: number,
  width: count,
  height: count,
  weights: z.enum(['raw', 'ema']).default('raw'),
  file: z.string(),
  sha256,
  request: z.string().optional(),
});

const preview = z.object({
  event: z.literal('preview'),
  step: count,
  epoch: count,
  prompt: count,
  sampling_step: count,
  sampling_steps: count,
  file: z.string(),
});

const progress = z.object({
  event: z.literal('progress'),
  phase: z.string(),
  done: z.number(),
  total: z.number(),
});

const memoryPlan = z.object({
  total_bytes: count,
  available_bytes: count.optional(),
  parts: z.array(z.object({ name: z.string(), bytes: count })).default([]),
});

/** What the job plans to hold where it computes, once it knows: before the first step. */
const memory = memoryPlan.extend({
  event: z.literal('memory'),
  /** The processor's, where the job computes on a device. */
  host: memoryPlan.optional(),
  /** Of the largest graph on a device, and into how many parts it is cut: 1, unless some run elsewhere. */
  nodes: count.optional(),
  splits: count.optional(),
});

const warning = z.object({
  event: z.literal('warning'),
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
});

const error = z.object({
  event: z.literal('error'),
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  exit: z.number().int().optional(),
});

const acknowledged = z.object({ event: z.literal('acknowledged'), request: z.string() });

const done = z.object({
  event: z.literal('done'),
  reason: z.enum(['finished', 'stopped', 'orphaned']).default('finished'),
  step: count.optional(),
  checkpoint: z.string().optional(),
});

export const trainerEvent = z.discriminatedUnion('event', [
  hello,
  step,
  validation,
  checkpoint,
  sample,
  preview,
  progress,
  memory,
  warning,
  error,
  acknowledged,
  done,
]);

export type TrainerEvent = z.infer<typeof trainerEvent>;
export type EventOf<Name extends TrainerEvent['event']> = Extract<TrainerEvent, { event: Name }>;

export const trainerCommand = z.discriminatedUnion('command', [
  z.object({ command: z.literal('save'), request: z.string().optional() }),
  z.object({ command: z.literal('stop'), request: z.string().optional() }),
  z.object({
    command: z.literal('sample'),
    request: z.string().optional(),
    prompts: z.array(count).optional(),
  }),
  z.object({ command: z.literal('set'), lr_factor: z.number().positive() }),
]);

export type TrainerCommand = z.infer<typeof trainerCommand>;

/** What `job.json` holds. Paths are absolute. */
export interface Job {
  protocol: typeof PROTOCOL_VERSION;
  run: string;
  stage: 'train' | 'evaluate';
  epoch: number;
  first_step: number;
  last_step: number;
  folder: string;
  resume: string | null;
  fingerprint: { recipe: string; data: string; base: string };
  seed: number;
  device: string;
  threads: number;
  recipe: unknown;
  data: { manifest: string } | null;
  /** evaluate: indices into the recipe's prompts; left out: all */
  sample_prompts?: number[];
  /** what native/clip-tokenizer.ts wrote, for a model that reads CLIP's tokens */
  tokenizer?: string;
  /** where latents are kept, and the name of the autoencoder's weights */
  latents?: { folder: string; origin: string };
  orphan: { follow_file: string; after_seconds: number };
}

/** 8-bit numbers without a header, rows top to bottom: 3 a pixel, or 1 of a mask (255 is made anew). */
export interface JobPicture {
  file: string;
  width: number;
  height: number;
}

/** A prompt as the job's recipe has it. */
export interface JobPrompt {
  text: string;
  negative: string;
  seed: number;
  width?: number;
  height?: number;
  steps?: number;
  guidance?: number;
  picture?: JobPicture;
  mask?: JobPicture;
  strength?: number;
  outpaint?: { left: number; top: number; right: number; bottom: number; overlap: number };
}

/** What `tiller-export` is asked for; native/diffusion/lora/export_job.h tells each key. Paths are absolute. */
export interface ExportJob {
  protocol: typeof PROTOCOL_VERSION;
  base: string;
  /** In the place of the base's. */
  vae?: string;
  /** How the model was trained; auto, or left out: as the base says. */
  prediction?: 'auto' | 'epsilon' | 'v';
  zero_terminal_snr?: 'auto' | boolean;
  /** One of these three: a checkpoint's folder, a LoRA file, a fine-tune whose difference is wanted. */
  checkpoint?: string;
  lora?: string;
  tuned?: string;
  to: string;
  format: 'lora' | 'peft' | 'single-file' | 'diffusers';
  dtype: 'F16' | 'BF16' | 'F32';
  weights?: 'auto' | 'raw' | 'ema';
  scale?: number;
  rank?: number;
  overwrite?: boolean;
  threads?: number;
  metadata?: Record<string, string>;
  tokenizer?: string;
  verify?: false | { ids?: readonly number[]; seed?: number; steps?: number; side?: number };
}

export const exportEvent = z.discriminatedUnion('event', [
  progress,
  warning,
  error,
  z.object({
    event: z.literal('done'),
    files: z.array(z.object({ path: z.string(), sha256, bytes: count })),
    /** Of two pictures, without the LoRA and with it: mean absolute difference in levels of 8 bits. */
    difference: number.optional(),
    /** Of an extraction: the share of the squared singular values that is kept. */
    energy: number.optional(),
  }),
]);

export type ExportEvent = z.infer<typeof exportEvent>;

/** sysexits(3), as the protocol uses them. */
export const EXIT = { ok: 0, badRecipe: 64, badData: 65, bug: 70, disk: 73, tryAgain: 75 } as const;
