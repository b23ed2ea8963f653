/** What no single key can know: keys that must fit each other. */
import { crosscheckData } from './crosscheck-data.ts';
import { type Problem, quoted } from './problem.ts';
import type { Path } from './shape.ts';
import type { Recipe } from './schema.ts';

/** Checkpoints are named by eight digits. */
export const MAX_STEPS = 99_999_999;
/** GroupNorm's groups, as in Stable Diffusion 1.x. */
export const GROUPS = 32;

/** Pixels of a latent's pixel in Stable Diffusion, and its U-Net's three halvings. */
const VAE = 8;
const SD1 = VAE * 2 ** 3;

/** A picture's sides must be multiples of this: the latent's factor, then one halving a level. */
export const stride = ({ model }: Recipe): number =>
  model.architecture === 'sd1'
    ? SD1
    : (model.latent === 'space-to-depth-2' ? 2 : 1) * 2 ** (model.channel_multipliers.length - 1);

export function crosscheck(recipe: Recipe): Problem[] {
  const general = [...steps(recipe), ...passes(recipe), ...betas(recipe), ...fusedBackward(recipe)];
  // What the model's section says means nothing to a trainer that isn't ours.
  if (typeof recipe.trainer !== 'string') return general;
  const sd1 = recipe.model.architecture === 'sd1';
  return [
    ...general,
    ...(sd1 ? needsBase(recipe) : ownModel(recipe)),
    ...sizes(recipe),
    ...crosscheckData(recipe, stride(recipe)),
    ...needsData(recipe),
  ];
}

const ownModel = (recipe: Recipe): Problem[] => [
  ...levels(recipe),
  ...channels(recipe),
  ...textHeads(recipe),
  ...onlySd1(recipe),
];

const needsBase = ({ base }: Recipe): Problem[] =>
  base === undefined
    ? [
        {
          path: ['base'],
          what: 'missing, and model.architecture: sd1 is read from it',
          advice:
            'Name a Stable Diffusion 1.x checkpoint, such as v1-5-pruned-emaonly.safetensors.',
        },
      ]
    : [];

/** What would be passed over in silence. */
function onlySd1({ vae, model, train }: Recipe): Problem[] {
  const used: [Path, boolean][] = [
    [['vae'], vae !== undefined],
    [['model', 'clip_skip'], model.clip_skip !== 1],
    [['train', 'text_encoder'], train.text_encoder],
  ];
  return used
    .filter(([, given]) => given)
    .map(([path]) => ({
      path,
      what: `means something only with model.architecture: sd1, not ${model.architecture}`,
      advice: 'Leave it out, or set model.architecture.',
    }));
}

/** A gradient that is used as it comes can't wait for others. */
function fusedBackward({ train }: Recipe): Problem[] {
  if (!train.fused_backward) return [];
  const needs: [string, boolean, string][] = [
    ['clip', train.clip === 0, '0: the norm is known when all gradients have gone by'],
    ['accumulation', train.accumulation === 1, '1'],
    ['optimizer', train.optimizer !== 'prodigy', 'adamw or adamw8bit'],
  ];
  return needs
    .filter(([, met]) => !met)
    .map(([key, , advice]) => ({
      path: ['train', key],
      what: 'does not go with train.fused_backward, which keeps no gradients',
      advice: `Set it to ${advice}; or leave train.fused_backward out.`,
    }));
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
  const { data, model, samples } = recipe;
  const unit = stride(recipe);
  const sampled = model.architecture === 'sd1' ? VAE : unit;
  // The bound of an area needs to be a multiple of nothing.
  const square = data?.fit === 'square' ? data.resolution : undefined;
  const sides: [Path, number | undefined, number][] = [
    [['data', 'resolution'], square, unit],
    ...samples.prompts.flatMap(({ width, height }, index): [Path, number | undefined, number][] => [
      [['samples', 'prompts', index, 'width'], width, sampled],
      [['samples', 'prompts', index, 'height'], height, sampled],
    ]),
  ];
  const why =
    model.architecture === 'sd1'
      ? 'Stable Diffusion 1.x'
      : `model.latent and ${model.channel_multipliers.length} levels`;
  return sides.flatMap(([path, side, multiple]): Problem[] => {
    if (side === undefined || side % multiple === 0) return [];
    return [
      {
        path,
        what: `${quoted(side)} pixels are a size that this U-Net can't do`,
        advice: `Sides must be multiples of ${multiple} (${why}): ${neighbours(side, multiple)}.`,
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
