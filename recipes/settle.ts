/**
 * Defaults that depend on what is trained: settled when a recipe is parsed, so that whoever reads
 * one (the trainer, a page, a hash) finds the figure itself.
 */
interface Written {
  model: { architecture: 'sd1-unet' | 'sd1' };
  lora?: object | undefined;
  data?: { resolution?: number | undefined } | undefined;
  train: {
    batch?: number | undefined;
    learning_rate?: number | undefined;
    min_snr_gamma?: number | undefined;
    gradient_checkpointing?: boolean | undefined;
    prediction: 'auto' | 'epsilon' | 'v';
    zero_terminal_snr: 'auto' | boolean;
  };
  samples: { guidance?: number | undefined };
}

type Settled<R extends Written> = Omit<R, 'data' | 'train' | 'samples'> & {
  data?: (Omit<NonNullable<R['data']>, 'resolution'> & { resolution: number }) | undefined;
  train: Omit<R['train'], 'batch' | 'learning_rate' | 'gradient_checkpointing'> & {
    batch: number;
    learning_rate: number;
    gradient_checkpointing: boolean;
  };
  samples: Omit<R['samples'], 'guidance'> & { guidance: number };
};

export function settle<R extends Written>(recipe: R): Settled<R> {
  const { model, data, train, samples, ...rest } = recipe;
  const sd1 = model.architecture === 'sd1';
  const { min_snr_gamma: gamma, ...training } = train;
  return {
    ...rest,
    model,
    ...(data === undefined
      ? {}
      : { data: { ...data, resolution: data.resolution ?? (sd1 ? 512 : 32) } }),
    train: {
      ...training,
      ...(gamma === undefined || gamma === 0 ? {} : { min_snr_gamma: gamma }),
      batch: train.batch ?? (sd1 ? 1 : 16),
      learning_rate: train.learning_rate ?? learningRate(recipe),
      gradient_checkpointing: train.gradient_checkpointing ?? sd1,
      // The base says what it predicts; a model that begins from its seed learns more with v.
      prediction: train.prediction === 'auto' && !sd1 ? 'v' : train.prediction,
      zero_terminal_snr:
        train.zero_terminal_snr === 'auto' && !sd1 ? false : train.zero_terminal_snr,
    },
    samples: { ...samples, guidance: samples.guidance ?? (sd1 ? 7 : 3) },
  } as Settled<R>;
}

function learningRate({ model, lora }: Written): number {
  if (model.architecture !== 'sd1') return 1e-3;
  return lora === undefined ? 2e-6 : 1e-4;
}
