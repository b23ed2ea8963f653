import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { TillerError } from '../../recipes/errors.ts';
import { parseRecipe } from '../../recipes/parse.ts';
import { RecipeError } from '../../recipes/problem.ts';

const folder = '/recipes';
const data = 'data:\n  folder: pictures\n';
const parse = (text: string, set: string[] = []) => parseRecipe(text, { folder, set });

function failure(text: string, set: string[] = []): TillerError {
  try {
    parse(text, set);
  } catch (error) {
    if (error instanceof TillerError) return error;
    throw error;
  }
  throw new Error('the recipe was accepted');
}

function problems(text: string, set: string[] = []): readonly string[] {
  const error = failure(text, set);
  if (error instanceof RecipeError) return error.problems;
  throw error;
}

describe('examples', () => {
  const examples = resolve(import.meta.dirname, '../../recipes/examples');
  const files = readdirSync(examples).filter((name) => name.endsWith('.yaml'));
  test('there are four', () => expect(files).toHaveLength(4));
  test.each(files)('%s parses', (file) => {
    const text = readFileSync(join(examples, file), 'utf8');
    expect(parseRecipe(text, { folder: examples }).recipe.name).not.toBe('run');
  });
  test('the trainer of own-trainer.yaml is found from anywhere', () => {
    const text = readFileSync(join(examples, 'own-trainer.yaml'), 'utf8');
    const trainer = resolve(examples, '../../test/fixtures/trainers/minimal-trainer.py');
    expect(parseRecipe(text, { folder: examples }).recipe.trainer).toEqual({
      command: ['python3', trainer],
    });
  });
});

describe('what is right', () => {
  test('defaults are filled in, and paths are made absolute', () => {
    const { recipe } = parse(data);
    expect(recipe.data?.folder).toBe('/recipes/pictures');
    expect(recipe.train.learning_rate).toBe(0.001);
    expect(parse('data: {folder: ~/x}').recipe.data?.folder).toBe(join(homedir(), 'x'));
    expect(parse(`${data}base: ../w.safetensors`).recipe.base).toBe('/w.safetensors');
  });
  test('defaults that depend on what is trained', () => {
    const small = parse(data).recipe;
    expect(small.train).toMatchObject({ batch: 16, prediction: 'v', learning_rate: 1e-3 });
    expect([small.data?.resolution, small.samples.guidance]).toEqual([32, 3]);
    const sd1 = `${data}base: x\nmodel: {architecture: sd1}\n`;
    const full = parse(sd1).recipe;
    expect(full.train).toMatchObject({ batch: 1, prediction: 'auto', learning_rate: 2e-6 });
    expect([full.data?.resolution, full.samples.guidance]).toEqual([512, 7]);
    expect(parse(`${sd1}lora: {}`).recipe.train.learning_rate).toBe(1e-4);
    expect(parse(`${sd1}train: {batch: 3}`).recipe.train.batch).toBe(3);
    expect(parse(`${data}train: {min_snr_gamma: 0}`).recipe.train.min_snr_gamma).toBeUndefined();
    expect(parse(`${data}train: {prediction: epsilon}`).recipe.train.prediction).toBe('epsilon');
  });
  test('a prompt may be a line of text', () => {
    const { recipe } = parse(`${data}samples: {prompts: [red heart, {text: cat, seed: 1}]}`);
    expect(recipe.samples.prompts).toEqual([
      { text: 'red heart', negative: '', seed: 7 },
      { text: 'cat', negative: '', seed: 1 },
    ]);
  });
  test('--set overrides, also inside lists and in sections that are not written', () => {
    const text = `${data}samples: {prompts: [one, two]}\ntrain:\n`;
    const { recipe } = parse(text, [
      'train.epochs=3',
      'samples.prompts.1=three',
      'data.background=#000000',
      'model.channel_multipliers=[1, 2]',
      'model.attention_levels=[1]',
      'name=2024',
    ]);
    expect(recipe.train.epochs).toBe(3);
    expect(recipe.samples.prompts.map(({ text }) => text)).toEqual(['one', 'three']);
    expect(recipe.data?.background).toBe('#000000');
    expect(recipe.model.channel_multipliers).toEqual([1, 2]);
    expect(recipe.name).toBe('2024');
  });
});

describe('what is wrong is named, with its place and what to do', () => {
  test.each([
    [
      'a misspelt key',
      `${data}train:\n  learning_rte: 0.1`,
      'learning_rte: unknown key at train.learning_rte (line 4). Did you mean learning_rate?',
    ],
    [
      'a key of another section',
      `${data}beta_start: 0.1`,
      'beta_start: unknown key at beta_start (line 3). Did you mean train.beta_start?',
    ],
    [
      "another trainer's name where it can't stand",
      `${data}model:\n  text:\n    network_dim: 2`,
      'network_dim: unknown key at model.text.network_dim (line 5). Did you mean lora.rank?',
    ],
    [
      'an unknown key that is like none',
      `${data}cost:\n  zzzzzzzz: 2`,
      'zzzzzzzz: unknown key at cost.zzzzzzzz (line 4). Known here: watts, price_per_kwh, currency.',
    ],
    [
      'a missing key',
      'data:\n  resolution: 32',
      'data.folder: missing (line 1). It is: Folder of pictures, each with a caption of the same name.',
    ],
    [
      'a missing section',
      'name: x',
      'data: missing. "tiller-diffusion" needs data.folder, a folder of pictures with captions.',
    ],
    [
      'a number that is too large',
      `${data}train: {learning_rate: 5}`,
      'train.learning_rate: 5 is out of range (line 3). Allowed: a number, more than 0, at most 1.',
    ],
    [
      'a number that is too small',
      `${data}train: {epochs: 0}`,
      'train.epochs: 0 is out of range (line 3). Allowed: an integer, 1 to 100,000.',
    ],
    [
      'a wrong type',
      `${data}train: {epochs: many}`,
      'train.epochs: "many" is the wrong kind of value (line 3). Allowed: an integer, 1 to 100,000.',
    ],
    [
      'a wrong word',
      `${data}device: cdua`,
      'device: "cdua" is not allowed (line 3). Allowed: auto, cpu, ggml-cpu, cuda, vulkan, metal. Did you mean cuda?',
    ],
    [
      'a value without the right form',
      `${data}cost: {currency: euro}`,
      'cost.currency: "euro" is not allowed (line 3). Allowed: text, as in ^[A-Z]{3}$.',
    ],
    [
      'an empty section',
      `${data}train:`,
      'train: empty (line 3). Give it a value or leave the key out. It is: Training.',
    ],
    [
      'a prompt of 10,000 characters',
      `${data}samples: {prompts: ["${'a'.repeat(10_000)}"]}`,
      'samples.prompts.0: a text of 10,000 characters is out of range (line 3). Allowed: text, at most 2,000 characters; or a section of keys.',
    ],
    [
      'a misspelt key of a prompt',
      `${data}samples:\n  prompts:\n    - text: a\n      sed: 1`,
      'sed: unknown key at samples.prompts.0.sed (line 6). Did you mean seed?',
    ],
    [
      'a misspelt key of a trainer',
      'trainer:\n  comand: [a]',
      'trainer.command: missing (line 1). It is: Program and arguments; see native/PROTOCOL.md.',
    ],
    [
      'a level that is not there',
      `${data}model:\n  channel_multipliers: [1, 2]\n  attention_levels: [1, 2]`,
      'model.attention_levels.1: level 2 is not in the model (line 5). model.channel_multipliers has 2 levels: 0 to 1.',
    ],
    [
      'channels that GroupNorm cannot group',
      `${data}model: {base_channels: 48, channel_multipliers: [2, 1], attention_levels: []}`,
      'model.channel_multipliers.1: model.base_channels 48 × 1 makes 48 channels (line 3). Channels must be a multiple of 32: 32 or 64.',
    ],
    [
      'channels that the heads cannot share',
      `${data}model: {heads: 3, channel_multipliers: [3, 6, 1], attention_levels: [0]}`,
      'model.channel_multipliers.2: model.base_channels 32 × 1 makes 32 channels (line 3). Channels must be a multiple of model.heads, 3.',
    ],
    [
      'a prompt of a size that the U-Net cannot do',
      `${data}samples:\n  prompts:\n    - text: a\n      width: 37`,
      "samples.prompts.0.width: 37 pixels are a size that this U-Net can't do (line 6). Sides must be multiples of 8 (model.latent and 3 levels): 32 or 40.",
    ],
    [
      'a resolution that the U-Net cannot do',
      'data: {folder: x, resolution: 30}',
      "data.resolution: 30 pixels are a size that this U-Net can't do (line 1). Sides must be multiples of 8 (model.latent and 3 levels): 24 or 32.",
    ],
    [
      'more steps than a checkpoint can be named by',
      `${data}train: {epochs: 1000, steps_per_epoch: 1000000}`,
      'train.epochs: 1,000 epochs of 1,000,000 steps are 1,000,000,000 steps (line 3). Allowed: at most 99,999,999 steps in all.',
    ],
    [
      'a noise schedule that runs backwards',
      `${data}train: {beta_start: 0.5}`,
      'train.beta_start: 0.5 is more than train.beta_end, 0.012 (line 3). Noise grows with the timestep: swap the two.',
    ],
    [
      'a Stable Diffusion without a base',
      `${data}model: {architecture: sd1}`,
      'base: missing, and model.architecture: sd1 is read from it. Name a Stable Diffusion 1.x checkpoint, such as v1-5-pruned-emaonly.safetensors.',
    ],
    [
      'a size that Stable Diffusion cannot do',
      'base: x\nmodel: {architecture: sd1}\ndata: {folder: x, resolution: 520}',
      "data.resolution: 520 pixels are a size that this U-Net can't do (line 3). Sides must be multiples of 64 (Stable Diffusion 1.x): 512 or 576.",
    ],
    [
      'a sample that Stable Diffusion cannot do',
      `${data}base: x\nmodel: {architecture: sd1}\nsamples: {prompts: [{text: a, width: 516}]}`,
      "samples.prompts.0.width: 516 pixels are a size that this U-Net can't do (line 5). Sides must be multiples of 8 (Stable Diffusion 1.x): 512 or 520.",
    ],
    [
      'what only Stable Diffusion has',
      `${data}train: {text_encoder: true}`,
      'train.text_encoder: means something only with model.architecture: sd1, not sd1-unet (line 3). Leave it out, or set model.architecture.',
    ],
    [
      'buckets of a step that the U-Net cannot do',
      'data: {folder: x, fit: buckets, resolution: 256, bucket_step: 12}',
      'data.bucket_step: 12 pixels are no multiple of 8, which sides must be for this U-Net (line 1). Set 16.',
    ],
    [
      'buckets between which no size lies',
      'data: {folder: x, fit: buckets, resolution: 512, bucket_min: 260, bucket_max: 300}',
      'data.bucket_max: no multiple of data.bucket_step, 64, lies between 260 and 300 (line 1). Raise data.bucket_max, or lower data.bucket_min.',
    ],
    [
      'buckets that are larger than the area',
      'data: {folder: x, fit: buckets, resolution: 255}',
      'data.resolution: a bucket has sides of at least 256, and an area of at most 255 × 255 (line 1). Raise data.resolution, or lower data.bucket_min.',
    ],
    [
      'a folder of masks that is not read',
      'data: {folder: x, mask_folder: m}',
      'data.mask_folder: not read with data.masks: none (line 1). Set data.masks: folder.',
    ],
    [
      'regularisation with the same pictures',
      'data: {folder: x, regularisation_folder: x}',
      'data.regularisation_folder: the same as data.folder (line 1). Name a folder of other pictures of the class.',
    ],
    [
      'clipping of gradients that are not kept',
      `${data}train: {fused_backward: true}`,
      'train.clip: does not go with train.fused_backward, which keeps no gradients (line 3). Set it to 0: the norm is known when all gradients have gone by; or leave train.fused_backward out.',
    ],
    [
      'accumulating gradients that are not kept',
      `${data}train: {fused_backward: true, clip: 0, accumulation: 2}`,
      'train.accumulation: does not go with train.fused_backward, which keeps no gradients (line 3). Set it to 1; or leave train.fused_backward out.',
    ],
    [
      'an ending without a dot',
      'data: {folder: x, caption_extension: [txt]}',
      'data.caption_extension.0: "txt" is not allowed (line 1). Allowed: an ending with its dot, such as .txt.',
    ],
  ])('%s', (_, text, expected) => expect(problems(text)[0]).toBe(expected));

  test('everything at once, one line each', () => {
    const error = failure('data: {folder: x, flip: 2}\ntrain: {epochs: 0, ema: 1}\nsed: 3');
    expect(error.line.split('\n')).toHaveLength(4);
    for (const line of error.line.split('\n')) expect(line).toMatch(/ \[RECIPE_INVALID\]$/);
    expect(error.exitCode).toBe(2);
  });
  test('the file is named where it is known, and --set where it is to blame', () => {
    expect(() => parseRecipe(`${data}seed: -1`, { folder, file: 'my.yaml' })).toThrow(
      '(my.yaml, line 3)',
    );
    expect(problems(data, ['train.epochs=0'])[0]).toContain('(--set train.epochs=0)');
    const long = problems(data, [`samples.prompts=[${'a'.repeat(10_000)}]`])[0];
    expect(long).toMatch(/^samples\.prompts\.0: .* \(--set samples\.prompts=\[a{1,80}…\)\./);
    expect(problems(`${data}seed: 1`, ['seed.x=0'])[0]).toBe(
      'seed.x: seed is a value, not a section (--set seed.x=0). Set seed itself.',
    );
  });
  test('a trainer of your own needs no data, and its model is not checked', () => {
    const own = 'trainer: {command: [x]}\nmodel: {base_channels: 33}\ntrain: {steps_per_epoch: 5}';
    expect(parse(own).recipe.data).toBeUndefined();
    expect(problems('trainer: {command: [x]}')).toEqual([
      'train.steps_per_epoch: missing, and without data there is no pass to count. Say how many steps an epoch has.',
    ]);
  });
});

describe('YAML', () => {
  test.each([
    ['a tab', 'train:\n\tepochs: 1', 'line 2, column 1'],
    ['an open bracket', 'name: x\nmodel: {a: [1', 'line 2, column '],
    ['a key that is there twice', 'seed: 1\nseed: 2', 'line 2, column 1'],
    ['a second document', 'seed: 1\n---\nseed: 2', 'line 2, column 1'],
    ['a foreign tag', 'seed: !!python/object 1', 'line 1, column 7'],
  ])('%s has a line and a column', (_, text, place) => {
    const error = failure(text);
    expect(error.code).toBe('RECIPE_SYNTAX');
    expect(error.line).toContain(place);
    expect(error.line).not.toContain('\n');
  });
  test('a list is no recipe, nor is a bomb of aliases, nor a huge file', () => {
    expect(failure('- a').code).toBe('RECIPE_SYNTAX');
    const levels = Array.from(
      { length: 12 },
      (_, i) => `a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}]`,
    );
    levels[0] = 'a0: &a0 [x,x,x,x,x,x,x,x,x]';
    expect(failure(levels.join('\n')).code).toBe('RECIPE_SYNTAX');
    expect(failure('#'.repeat(2_000_000)).code).toBe('RECIPE_SYNTAX');
  });
  test('an empty file lacks what is needed', () => {
    expect(problems('')).toHaveLength(1);
  });
  test.each(['train.epochs', '=3', 'settings.x=[1'])('--set %s is a usage error', (set) => {
    expect(failure(data, [set]).code).toBe('USAGE');
  });
});

describe('the hash', () => {
  const hash = (text: string) => parse(text).hash;
  test.each([
    'name: x',
    'priority: 1',
    'cost: {watts: 1}',
    'checkpoints: {every_seconds: 1}',
    'samples: {steps: 5}',
    'validation: {bins: 2}',
  ])('%s does not change it', (extra) => expect(hash(`${data}${extra}`)).toBe(hash(data)));
  test.each([
    'seed: 1',
    'train: {batch: 2}',
    'threads: 1',
    'device: cuda',
    'base: x',
    'settings: {a: 1}',
    'model: {heads: 8}',
    'lora: {}',
    'train: {noise_offset: 0.1}',
  ])('%s changes it', (extra) => expect(hash(`${data}${extra}`)).not.toBe(hash(data)));
  test('neither the place of the pictures nor the order of keys changes it', () => {
    expect(hash('data: {folder: /elsewhere}')).toBe(hash(data));
    expect(hash('data: {folder: a, masks: folder, mask_folder: b}')).toBe(
      hash('data: {folder: a, masks: folder, mask_folder: c}'),
    );
    expect(hash('seed: 3\ndata: {flip: true, folder: a}')).toBe(
      hash('data: {folder: a, flip: true}\nseed: 3'),
    );
  });
});
