/** What no single key can know: keys that must fit each other. */
import type { Problem } from './problem.ts';
import { quoted } from './problem.ts';
import type { Path } from './shape.ts';
import type { Recipe } from './schema.ts';

/** Checkpoints are named by eight digits. */
export const MAX_STEPS = 99_999_999;
/** GroupNorm's groups, as in Stable Diffusion 1.x. */
export const GROUPS = 32;

/** A picture's sides must be multiples of this: the latent's factor, then one halving a level. */
export const stride = ({ model }: Recipe): number =>
  (model.latent === 'space-to-depth-2' ? 2 : 1) * 2 ** (model.channel_multipliers.length - 1);

export function crosscheck(recipe: Recipe): Problem[] {
  const general = [...steps(recipe), ...passes(recipe), ...betas(recipe)];
  // What the model's section says means nothing to a trainer that isn't ours.
  if (typeof recipe.trainer !== 'string') return general;
  return [
    ...general,
    ...levels(recipe),
    ...channels(recipe),
    ...textHeads(recipe),
    ...sizes(recipe),
    ...needsData(recipe),
  ];
}

function steps({ train }: Recipe): Problem[] {
  const total = train.epochs * (train.steps_per_epoch ?? 1);
  if (total <= MAX_STEPS) return [];
  return [
    {
      path: ['train', 'epochs'],
      what: `${count(train.epochs)} epochs of ${count(train.steps_per_epoch ?? 1)} steps are ${count(total)} steps`,
      advice: `Allowed: at most ${count(MAX_STEPS)} steps in all.`,
    },
  ];
}

function passes({ data, train, trainer }: Recipe): Problem[] {
  if (typeof trainer === 'string' || data !== undefined || train.steps_per_epoch !== undefined) {
    return [];
  }
  const what = 'missing, and without data there is no pass to count';
  return [{ path: ['train', 'steps_per_epoch'], what, advice: 'Say how many steps an epoch has.' }];
}

function betas({ train }: Recipe): Problem[] {
  if (train.beta_start <= train.beta_end) return [];
  return [
    {
      path: ['train', 'beta_start'],
      what: `${train.beta_start} is more than train.beta_end, ${train.beta_end}`,
      advice: 'Noise grows with the timestep: swap the two.',
    },
  ];
}

function levels({ model }: Recipe): Problem[] {
  const count = model.channel_multipliers.length;
  return model.attention_levels.flatMap((level, index): Problem[] => {
    const path = ['model', 'attention_levels', index];
    if (level >= count) {
      return [
        {
          path,
          what: `level ${level} is not in the model`,
          advice: `model.channel_multipliers has ${count} levels: 0 to ${count - 1}.`,
        },
      ];
    }
    if (model.attention_levels.indexOf(level) === index) return [];
    return [{ path, what: `level ${level} is listed twice`, advice: 'List it once.' }];
  });
}

function channels({ model }: Recipe): Problem[] {
  const last = model.channel_multipliers.length - 1;
  return model.channel_multipliers.flatMap((multiplier, level): Problem[] => {
    const width = model.base_channels * multiplier;
    const path = ['model', 'channel_multipliers', level];
    const made = `model.base_channels ${model.base_channels} × ${multiplier} makes ${width} channels`;
    if (width % GROUPS !== 0) {
      const advice = `Channels must be a multiple of ${GROUPS}: ${neighbours(width, GROUPS)}.`;
      return [{ path, what: made, advice }];
    }
    // The middle, which follows the last level, always has a transformer.
    const attends = model.attention_levels.includes(level) || level === last;
    if (!attends || width % model.heads === 0) return [];
    return [
      { path, what: made, advice: `Channels must be a multiple of model.heads, ${model.heads}.` },
    ];
  });
}

function textHeads({ model }: Recipe): Problem[] {
  const { width, heads, layers } = model.text;
  if (layers === 0 || width % heads === 0) return [];
  return [
    {
      path: ['model', 'text', 'width'],
      what: `${width} is not a multiple of model.text.heads, ${heads}`,
      advice: `Nearest: ${neighbours(width, heads)}.`,
    },
  ];
}

function sizes(recipe: Recipe): Problem[] {
  const sides: [Path, number | undefined][] = [
    [['data', 'resolution'], recipe.data?.resolution],
    ...recipe.samples.prompts.flatMap(({ width, height }, index): [Path, number | undefined][] => [
      [['samples', 'prompts', index, 'width'], width],
      [['samples', 'prompts', index, 'height'], height],
    ]),
  ];
  const unit = stride(recipe);
  return sides.flatMap(([path, side]): Problem[] => {
    if (side === undefined || side % unit === 0) return [];
    return [
      {
        path,
        what: `${quoted(side)} pixels are a size that this U-Net can't do`,
        advice: `Sides must be multiples of ${unit} (model.latent and ${recipe.model.channel_multipliers.length} levels): ${neighbours(side, unit)}.`,
      },
    ];
  });
}

const needsData = ({ data, trainer }: Recipe): Problem[] =>
  data === undefined
    ? [
        {
          path: ['data'],
          what: 'missing',
          advice: `${quoted(trainer)} needs data.folder, a folder of pictures with captions.`,
        },
      ]
    : [];

/** The two nearest multiples: "24 or 32". */
function neighbours(value: number, unit: number): string {
  const below = Math.floor(value / unit) * unit;
  return below === 0 ? `${unit}` : `${below} or ${below + unit}`;
}

const count = (value: number): string => value.toLocaleString('en-US');
