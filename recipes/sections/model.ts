import { z } from 'zod';
import { int } from './fields.ts';

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

export const model = z
  .strictObject({
    architecture: z
      .enum(['sd1-unet', 'sd1'])
      .describe(
        'sd1: Stable Diffusion 1.x as `base` has it, and but for clip_skip the other keys here are not used; sd1-unet: its U-Net with free sizes',
      )
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
    clip_skip: int('Which of the last layers of the text encoder is read: 1 is the last (sd1)')
      .min(1)
      .max(12)
      .default(1),
    text: textModel.prefault({}),
  })
  .describe('The model');

export const lora = z
  .strictObject({
    rank: int('Rank of the adapters of linear layers').min(1).max(1024).default(16),
    alpha: z
      .number()
      .positive()
      .max(4096)
      .describe('What they add is multiplied by alpha / rank')
      .default(16),
    conv_rank: int('Rank of the adapters of 3×3 convolutions; 0: none').min(0).max(1024).default(0),
    conv_alpha: z
      .number()
      .positive()
      .max(4096)
      .describe('What they add is multiplied by conv_alpha / conv_rank')
      .default(1),
  })
  .describe('Low-rank adapters are trained instead of the weights; left out: the weights');
