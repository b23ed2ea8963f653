/**
 * What is compared with PyTorch: a row a golden, and the checks of native/tests/ that belong to it by
 * their names. The first row that matches takes a check; what none takes compares with no golden.
 */
import { join } from 'node:path';
import { writeClipTokenizer } from '../../native/clip-tokenizer.ts';
import { writeTokenizerTexts } from '../native/tokenizer-texts.ts';

export interface Row {
  golden: string;
  peer: string;
  match: RegExp;
  /** the least that must have been compared: a golden that lost its tensors must not pass */
  atLeast: number;
  /** of rows that aren't in F32: the largest limit that a check may have, where it is above LIMIT */
  limit?: number;
}

export interface Program {
  name: string;
  /** @param folder is empty, and its own */
  args: (folder: string) => readonly string[] | Promise<readonly string[]>;
  rows: readonly Row[];
}

const golden = (file = ''): string => join(import.meta.dirname, '..', 'golden', file);
const row = (golden: string, peer: string, match: RegExp, atLeast: number): Row => ({
  golden,
  peer,
  match,
  atLeast,
});

const TORCH = 'PyTorch';
const DIFFUSERS = 'diffusers';
const TRANSFORMERS = 'transformers';
const PEFT = 'peft';

const models: Program = {
  name: 'golden_test',
  args: () => [golden()],
  rows: [
    row('U-Net', DIFFUSERS, /^unet (y|losses)$/, 6),
    row('U-Net, gradients', DIFFUSERS, /^unet /, 633),
    row('U-Net with LoRA', PEFT, /^unet_lora y$/, 1),
    row('U-Net with LoRA, gradients', PEFT, /^unet_lora /, 161),
    row('text encoder', TRANSFORMERS, /^clip_text y$/, 1),
    row('text encoder, gradients', TRANSFORMERS, /^clip_text /, 37),
    row('text encoder with LoRA', PEFT, /^clip_text_lora y$/, 1),
    row('text encoder with LoRA, gradients', PEFT, /^clip_text_lora /, 25),
  ],
};

/** How far a U-Net in BF16 is from F32; the limits are made from how far PyTorch's own BF16 is. */
const fromF32 = (golden: string, name: string): Row => ({
  ...row(golden, 'autocast', new RegExp(`^${name} in BF16, from F32: `), 3),
  limit: 2,
});
const inBf16 = (what: Row): Row => ({ ...what, limit: 5e-3 });
const blocks = (golden: string, peer: string, names: string, atLeast: number): Row =>
  inBf16(row(`${golden} in BF16`, peer, new RegExp(`^block (${names}) in BF16 `), atLeast));

const bf16: Program = {
  name: 'bf16_test',
  args: () => ['ggml-cpu', 'bf16', golden()],
  rows: [
    inBf16(row('text encoder in BF16', TORCH, /^clip_text in BF16 y$/, 1)),
    inBf16(row('text encoder in BF16, gradients', TORCH, /^clip_text in BF16 /, 37)),
    inBf16(row('text encoder with LoRA in BF16', TORCH, /^clip_text_lora in BF16 y$/, 1)),
    inBf16(row('text encoder with LoRA in BF16, gradients', TORCH, /^clip_text_lora in /, 25)),
    blocks('time embedding', DIFFUSERS, 'time', 6),
    blocks('first and last convolution', DIFFUSERS, 'conv_in|conv_out', 12),
    blocks('residual blocks', DIFFUSERS, 'res|res_wider|res_skip', 47),
    blocks('spatial transformer', DIFFUSERS, 'transformer', 30),
    blocks('down- and upsampling', DIFFUSERS, 'half|twice', 10),
    blocks('blocks with LoRA', PEFT, '[a-z_]+_lora', 51),
    fromF32('U-Net in BF16, from F32', 'unet'),
    fromF32('U-Net with LoRA in BF16, from F32', 'unet_lora'),
  ],
};

const clip: Program = {
  name: 'clip_test',
  args: () => [golden()],
  rows: [
    row('clip_skip 1, 2 and 3', TRANSFORMERS, /^clip_skip (y|last|first)$/, 3),
    row("prompts' weights and chunks", TRANSFORMERS, /^clip_skip emphasized$/, 1),
    row('clip_skip, gradients', TRANSFORMERS, /^clip_skip /, 38),
  ],
};

const vae: Program = {
  name: 'vae_test',
  args: () => [golden()],
  rows: [
    row('VAE encoder', DIFFUSERS, /^vae moments /, 4),
    row('VAE encoder, gradients', DIFFUSERS, /^vae (drgb |encoder\.)/, 8),
    row('VAE decoder', DIFFUSERS, /^vae picture /, 4),
  ],
};

const schedules: Program = {
  name: 'diffusion_test',
  args: () => [golden('schedules.json')],
  rows: [
    row('noise schedules', DIFFUSERS, /^alpha squared, /, 3),
    row('min-SNR weights', DIFFUSERS, /^min-SNR weight of /, 6),
    row('ddim and dpm++2m by schedule', DIFFUSERS, /^(ddim|dpm\+\+2m) (epsilon|v) \d+ steps/, 32),
  ],
};

/** Pictures, timesteps and calls of every walk. */
const sampler = (name: string, atLeast: number): Row =>
  row(
    name,
    DIFFUSERS,
    new RegExp(`^${name.replaceAll('+', '\\+')} (epsilon|v) (trailing|leading|linspace) `),
    atLeast,
  );

const samplers: Program = {
  name: 'sampler_test',
  args: () => [golden('samplers.json')],
  rows: [
    row('zero terminal SNR', DIFFUSERS, /^zero terminal SNR: alpha squared/, 3),
    row('zero terminal SNR, min-SNR weights', DIFFUSERS, /^zero terminal SNR: min-SNR/, 3),
    row('noise offset', TORCH, /^noise offset$/, 1),
    // diffusers' Euler works with σ/α there, which is large and not infinite: its own rounding.
    row('euler at zero terminal SNR', DIFFUSERS, /^euler(-a)? .* zero true/, 12),
    sampler('ddim', 66),
    sampler('euler', 48),
    sampler('euler-a', 48),
    sampler('heun', 48),
    sampler('dpm++2m', 42),
    sampler('dpm++2m-karras', 12),
    sampler('unipc', 54),
  ],
};

const pictures: Program = {
  name: 'inpainting_test',
  args: () => [golden('samplers.json')],
  rows: [
    row('picture to picture', DIFFUSERS, /^picture to picture, /, 48),
    row('inpainting', DIFFUSERS, /^inpainting, /, 40),
  ],
};

const optimizers: Program = {
  name: 'optimizer_test',
  args: () => [golden()],
  rows: [
    row('AdamW', TORCH, /^adamw beside PyTorch$/, 1),
    row('Prodigy', 'prodigyopt', /^prodigy beside PyTorch$/, 1),
  ],
};

const tokenizer: Program = {
  name: 'tokenizer_test',
  args: async (folder) => {
    const { path } = await writeClipTokenizer({ env: { XDG_CACHE_HOME: folder } });
    return [path, await writeTokenizerTexts(folder), folder];
  },
  rows: [row('tokenizer', TRANSFORMERS, /^text \d+ as transformers has it$/, 63)],
};

export const programs: readonly Program[] = [
  models,
  bf16,
  clip,
  vae,
  schedules,
  samplers,
  pictures,
  optimizers,
  tokenizer,
];
