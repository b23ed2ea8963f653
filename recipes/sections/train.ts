import { z } from 'zod';
import { flag, int, share } from './fields.ts';

export const train = z
  .strictObject({
    epochs: int('Epochs').min(1).max(100_000).default(13),
    steps_per_epoch: int('Optimizer steps an epoch; left out: one pass over the data')
      .min(1)
      .max(10_000_000)
      .optional(),
    batch: int('Pictures a micro-batch; left out: 1 with sd1, else 16').min(1).max(4096).optional(),
    accumulation: int('Micro-batches a step').min(1).max(1024).default(1),
    prediction: z
      .enum(['auto', 'epsilon', 'v'])
      .describe("What the model predicts; auto: the base's own with sd1, else v")
      .default('auto'),
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
      .min(0)
      .max(100)
      .describe('Min-SNR weighting (Hang et al. 2023); 0 or left out: none')
      .optional(),
    noise_offset: share('Noise that a whole channel shares').default(0),
    zero_terminal_snr: z
      .union([z.enum(['auto']), z.boolean()])
      .describe(
        'Rescale the schedule so that the last timestep is noise alone; auto: as the base says with sd1, else not',
      )
      .default('auto'),
    optimizer: z
      .enum(['adamw', 'adamw8bit', 'prodigy'])
      .describe('Optimizer; prodigy finds its own learning rate: give it 1')
      .default('adamw'),
    learning_rate: z
      .number()
      .positive()
      .max(1)
      .describe(
        'Peak learning rate; left out: with sd1 0.0001 for lora and 0.000002 without, else 0.001',
      )
      .optional(),
    text_encoder: flag('Train the text encoder too (sd1)').default(false),
    text_encoder_learning_rate: z
      .number()
      .positive()
      .max(1)
      .describe('Peak learning rate of the text encoder')
      .default(5e-5),
    schedule: z
      .enum(['constant', 'cosine', 'linear'])
      .describe('Learning rate after the warm-up')
      .default('constant'),
    warmup_steps: int('Steps of linear warm-up').min(0).max(1_000_000).default(100),
    beta1: z.number().min(0).lt(1).describe('AdamW: decay of the first moment').default(0.9),
    beta2: z.number().min(0).lt(1).describe('AdamW: decay of the second moment').default(0.99),
    epsilon: z.number().positive().max(1).describe('AdamW: epsilon').default(1e-8),
    weight_decay: z.number().min(0).max(1).describe('AdamW: decoupled weight decay').default(0.01),
    clip: z.number().min(0).max(1000).describe('Largest gradient norm; 0: any').default(1),
    ema: z
      .number()
      .min(0)
      .lt(1)
      .describe('Decay of the running mean of the weights; 0 switches it off')
      .default(0.995),
    precision: z
      .enum(['auto', 'f32', 'bf16', 'f16'])
      .describe(
        'Of products of matrices; trained weights stay f32. auto: bf16 on CUDA devices that are fast at it and on a CPU with AMX and oneDNN, else f32. Devices refuse f16',
      )
      .default('auto'),
    gradient_checkpointing: flag(
      'Compute activations again instead of keeping them; left out: with sd1',
    ).optional(),
    fused_backward: flag(
      'Use gradients as they come and keep none: with clip 0, accumulation 1 and an AdamW, on a CPU',
    ).default(false),
  })
  .describe('Training');
