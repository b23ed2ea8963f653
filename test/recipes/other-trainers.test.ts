import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TillerError } from '../../recipes/errors.ts';
import { parseRecipe } from '../../recipes/parse.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tiller-recipes-'));
  writeFileSync(
    join(folder, 'prompts.txt'),
    '# two\na red barn --n night --w 512 --h 768 --d 11 --s 28 --l 7\n\na blue barn\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parse = (text: string, file = 'recipe.yaml', set: string[] = []) =>
  parseRecipe(text, { folder, file, set });

function refusal(text: string, file = 'recipe.yaml', set: string[] = []): string[] {
  try {
    parse(text, file, set);
  } catch (error) {
    if (error instanceof TillerError) return error.message.split('\n');
    throw error;
  }
  throw new Error('the recipe was accepted');
}

const kohya = `
[model_arguments]
pretrained_model_name_or_path = "base.safetensors"
v2 = false
v_parameterization = true

[dataset_arguments]
train_data_dir = "pictures"
reg_data_dir = "classes"
resolution = "512,512"
enable_bucket = true
min_bucket_reso = 320
max_bucket_reso = 960
bucket_reso_steps = 64
bucket_no_upscale = true
caption_extension = ".txt"
shuffle_caption = true
keep_tokens = 1
caption_dropout_rate = 0.05
flip_aug = true
prior_loss_weight = 0.7
cache_latents = true

[training_arguments]
output_dir = "out"
output_name = "my barn!"
save_every_n_epochs = 1
train_batch_size = 2
gradient_accumulation_steps = 2
max_train_epochs = 8
xformers = true
mixed_precision = "fp16"
gradient_checkpointing = true
seed = 7
clip_skip = 2
max_grad_norm = 0.5
noise_offset = 0.05
zero_terminal_snr = true
min_snr_gamma = 0
sample_prompts = "prompts.txt"
sample_sampler = "euler_a"

[network_arguments]
network_module = "networks.lora"
network_dim = 32
network_alpha = 16
network_args = ["conv_dim=8", "conv_alpha=4"]

[optimizer_arguments]
optimizer_type = "AdamW8bit"
optimizer_args = ["weight_decay=0.1", "betas=0.9,0.95"]
learning_rate = 1e-4
unet_lr = 2e-4
text_encoder_lr = 5e-6
lr_scheduler = "constant_with_warmup"
lr_warmup_steps = 50
`;

describe('a TOML file of sd-scripts', () => {
  test('is this recipe', () => {
    const { recipe } = parse(kohya, 'config.toml');
    expect(recipe).toMatchObject({
      name: 'my-barn-',
      seed: 7,
      base: join(folder, 'base.safetensors'),
      model: { architecture: 'sd1', clip_skip: 2 },
      lora: { rank: 32, alpha: 16, conv_rank: 8, conv_alpha: 4 },
      data: {
        folder: join(folder, 'pictures'),
        regularisation_folder: join(folder, 'classes'),
        fit: 'buckets',
        resolution: 512,
        bucket_min: 320,
        bucket_max: 960,
        bucket_step: 64,
        upscale: false,
        caption_extension: ['.txt'],
        shuffle_captions: true,
        keep_tokens: 1,
        caption_dropout: 0.05,
        flip: true,
        prior_loss_weight: 0.7,
      },
      train: {
        epochs: 8,
        batch: 2,
        accumulation: 2,
        prediction: 'v',
        optimizer: 'adamw8bit',
        weight_decay: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        learning_rate: 2e-4,
        text_encoder: true,
        text_encoder_learning_rate: 5e-6,
        schedule: 'constant',
        warmup_steps: 50,
        clip: 0.5,
        noise_offset: 0.05,
        zero_terminal_snr: true,
        precision: 'auto',
        gradient_checkpointing: true,
      },
      samples: {
        sampler: 'euler-a',
        prompts: [
          { text: 'a red barn', negative: 'night', width: 512, height: 768, seed: 11 },
          { text: 'a blue barn', negative: '', seed: 7 },
        ],
      },
    });
    expect(recipe.train.min_snr_gamma).toBeUndefined();
    expect(recipe.train.steps_per_epoch).toBeUndefined();
  });

  test('and each of its names is told once, with what it is', () => {
    const { notes } = parse(kohya, 'config.toml');
    for (const note of [
      'network_dim is lora.rank here',
      'bucket_no_upscale: true is data.upscale: false here',
      'optimizer_args weight_decay is train.weight_decay here',
      'mixed_precision: "fp16" is train.precision: "auto" here: F16 is not trained in; BF16 where the device is fast at it, else F32',
      'sample_sampler: "euler_a" is samples.sampler: "euler-a" here',
      'not used: cache_latents (latents are always kept)',
      'not used: output_dir, save_every_n_epochs (every epoch is kept, with all that resuming needs)',
      'not used: v2 (it is off)',
      'model.architecture is sd1: the file is in the words of a trainer of Stable Diffusion',
    ]) {
      expect(notes).toContain(note);
    }
    expect(new Set(notes).size).toBe(notes.length);
  });

  test('what is wrong is named as it is written, with its line', () => {
    const lineOf = (text: string) =>
      kohya.split('\n').findIndex((line) => line.startsWith(text)) + 1;
    const bad = kohya
      .replace('network_dim = 32', 'network_dim = 4000')
      .replace('"AdamW8bit"', '"Lion"')
      .replace('v2 = false', 'v2 = true')
      .replace('xformers = true', 'rotary_embeddings = true');
    expect(refusal(bad, 'config.toml')).toEqual([
      `v2: true is not something that Tiller does (config.toml, line ${lineOf('v2')}). Only Stable Diffusion 1.x is trained here.`,
      `rotary_embeddings: unknown here (config.toml, line ${lineOf('xformers')}). Leave it out if it does not matter.`,
      `lora.rank (network_dim as written): 4000 is out of range (config.toml, line ${lineOf('network_dim')}). Allowed: an integer, 1 to 1,024.`,
      `train.optimizer (optimizer_type as written): "Lion" is not allowed (config.toml, line ${lineOf('optimizer_type')}). Allowed: adamw, adamw8bit, prodigy.`,
    ]);
  });

  test.each([
    ['seed = ', 'line 1, column 8'],
    ['a = 1\nseed = no', 'line 2, column '],
    ['a = 1\na = 2', 'line 2, column '],
  ])('%j is no TOML', (text, place) => {
    const [message, ...more] = refusal(text, 'config.toml');
    expect(message).toMatch(/^config.toml is not valid TOML at /);
    expect(message).toContain(place);
    expect(more).toEqual([]);
  });
});

describe('its data sets', () => {
  const rest = `
pretrained_model_name_or_path = "b"
max_train_epochs = 1
`;
  const sets = `
[general]
shuffle_caption = true
keep_tokens = 1

[[datasets]]
resolution = 640
batch_size = 4
keep_tokens = 2

  [[datasets.subsets]]
  image_dir = "dogs"
  num_repeats = 10
  class_tokens = "sks dog"

  [[datasets.subsets]]
  is_reg = true
  image_dir = "classes"
  num_repeats = 1
`;
  const expected = {
    train: { batch: 4 },
    data: { resolution: 640, keep_tokens: 2, shuffle_captions: true, repeats: 10 },
  };

  test('are one folder and its regularisation; the inner level counts', () => {
    const { recipe } = parse(rest + sets, 'config.toml');
    expect(recipe).toMatchObject(expected);
    expect(recipe.data).toMatchObject({
      folder: join(folder, 'dogs'),
      regularisation_folder: join(folder, 'classes'),
      default_caption: 'sks dog',
    });
  });

  test('may lie in a file of their own, whose lines are named', () => {
    writeFileSync(join(folder, 'sets.toml'), sets);
    const main = `${rest}dataset_config = "sets.toml"\n`;
    expect(parse(main, 'config.toml').recipe).toMatchObject(expected);
    writeFileSync(join(folder, 'sets.toml'), sets.replace('num_repeats = 10', 'num_repeats = 0'));
    expect(refusal(main, 'config.toml')).toEqual([
      'data.repeats (num_repeats as written): 0 is out of range (sets.toml, line 13). Allowed: an integer, 1 to 10,000.',
    ]);
    expect(refusal(main.replace('sets', 'none'), 'config.toml')[0]).toBe(
      'dataset_config: none.toml cannot be read (ENOENT) (config.toml, line 4). A relative path starts at the recipe.',
    );
  });

  test('of several folders one is asked for', () => {
    const two = `${sets}\n  [[datasets.subsets]]\n  image_dir = "cats"\n`;
    expect(refusal(rest + two, 'config.toml')).toEqual([
      'image_dir: a second folder of the same kind (config.toml, line 25). One is read here: put both into it, as folders such as "10_red barn", the number being repeats.',
    ]);
  });
});

describe('a JSON file of kohya_ss', () => {
  const preset = {
    LoRA_type: 'Standard',
    additional_parameters: '',
    some_new_thing: '',
    bucket_no_upscale: true,
    caption_extension: '.caption',
    conv_dim: 1,
    conv_alpha: 1,
    enable_bucket: false,
    epoch: 3,
    keep_tokens: '2',
    learning_rate: '0.0001',
    lr_scheduler: 'cosine',
    lr_warmup: '0',
    max_resolution: '512,512',
    max_train_epochs: '',
    max_train_steps: '',
    mixed_precision: 'bf16',
    network_alpha: 64,
    network_dim: 64,
    noise_offset: '0.05',
    optimizer: 'AdamW',
    optimizer_args: '',
    seed: '1234',
    pretrained_model_name_or_path: 'b',
    stop_text_encoder_training: 0,
    text_encoder_lr: '5e-05',
    train_data_dir: 'pictures',
    unet_lr: '0.0002',
    xformers: true,
  };
  test('has numbers as text, empty keys, and names of its own', () => {
    const { recipe, notes } = parse(JSON.stringify(preset, null, 2), 'preset.json');
    expect(recipe).toMatchObject({
      seed: 1234,
      lora: { rank: 64, alpha: 64, conv_rank: 0 },
      data: { fit: 'square', resolution: 512, keep_tokens: 2, caption_extension: ['.caption'] },
      train: {
        epochs: 3,
        learning_rate: 2e-4,
        text_encoder: true,
        text_encoder_learning_rate: 5e-5,
        warmup_steps: 0,
        noise_offset: 0.05,
      },
    });
    expect(notes).toContain('not used: conv_dim, conv_alpha (LoRA_type Standard has none)');
  });
  test.each([
    [{ LoRA_type: 'LyCORIS/LoHa' }, 'LoRA_type: "LyCORIS/LoHa" is not something that Tiller does'],
    [{ stop_text_encoder_training: 5 }, 'stop_text_encoder_training: 5 is not something'],
    [{ some_new_thing: 3 }, 'some_new_thing: unknown key at some_new_thing (preset.json, line 4)'],
    [{ max_resolution: '512,650' }, 'max_resolution: 512 × 650 is not square'],
    [{ max_resolution: 'big' }, 'max_resolution: "big" is not one size'],
    [{ optimizer_args: 'd_coef=2' }, 'optimizer_args: d_coef is not an argument'],
    [{ lr_warmup: '10' }, 'lr_warmup: 10 is a share of steps that are not known yet'],
    [{ unet_lr: 'fast' }, 'train.learning_rate (unet_lr as written): "fast" is the wrong kind'],
  ])('with %j is refused', (changes, says) => {
    expect(refusal(JSON.stringify({ ...preset, ...changes }, null, 2), 'preset.json')).toEqual([
      expect.stringContaining(says),
    ]);
  });
});

const toolkit = `
job: extension
config:
  name: my_barn
  process:
    - type: sd_trainer
      training_folder: output
      device: cuda:0
      trigger_word: br4n
      network:
        type: lora
        linear: 16
        linear_alpha: 8
      save:
        dtype: float16
        save_every: 250
        max_step_saves_to_keep: 4
      datasets:
        - folder_path: pictures
          caption_ext: txt
          caption_dropout_rate: 0.05
          shuffle_tokens: true
          cache_latents_to_disk: true
          resolution: [512]
        - folder_path: classes
          is_reg: true
      train:
        batch_size: 2
        steps: 2000
        gradient_accumulation_steps: 1
        train_unet: true
        train_text_encoder: false
        gradient_checkpointing: true
        noise_scheduler: ddpm
        optimizer: adamw8bit
        optimizer_params:
          weight_decay: 0.02
        lr: 1e-4
        ema_config:
          use_ema: true
          ema_decay: 0.99
        dtype: bf16
      model:
        name_or_path: base.safetensors
        is_v_pred: false
      sample:
        sampler: ddpm
        sample_every: 500
        width: 512
        height: 768
        prompts:
          - a red barn
          - a blue barn
        neg: night
        seed: 42
        walk_seed: true
        guidance_scale: 4
        sample_steps: 25
meta:
  name: '[name]'
  version: '1.0'
`;

describe('a YAML file of ai-toolkit', () => {
  test('is this recipe', () => {
    const { recipe, notes } = parse(toolkit);
    expect(recipe).toMatchObject({
      name: 'my_barn',
      device: 'cuda',
      base: join(folder, 'base.safetensors'),
      model: { architecture: 'sd1' },
      lora: { rank: 16, alpha: 8 },
      data: {
        folder: join(folder, 'pictures'),
        regularisation_folder: join(folder, 'classes'),
        fit: 'buckets',
        resolution: 512,
        trigger_word: 'br4n',
        caption_extension: ['.txt'],
        caption_dropout: 0.05,
        shuffle_captions: true,
      },
      train: {
        epochs: 4,
        steps_per_epoch: 500,
        batch: 2,
        optimizer: 'adamw8bit',
        weight_decay: 0.02,
        learning_rate: 1e-4,
        ema: 0.99,
        precision: 'bf16',
        prediction: 'epsilon',
        text_encoder: false,
      },
      samples: {
        sampler: 'ddim',
        guidance: 4,
        steps: 25,
        prompts: [
          { text: 'a red barn', negative: 'night', seed: 42, width: 512, height: 768 },
          { text: 'a blue barn', negative: 'night', seed: 43, width: 512, height: 768 },
        ],
      },
    });
    expect(notes).toContain('linear is lora.rank here');
    expect(notes).toContain('steps 2000 is 4 epochs of 500 steps here');
  });
  test('F16 is what its device is good at', () => {
    const { recipe, notes } = parse(toolkit.replace('dtype: bf16', 'dtype: fp16'));
    expect(recipe.train.precision).toBe('auto');
    expect(notes.join('\n')).toContain(
      ': "fp16" is train.precision: "auto" here: F16 is not trained in; BF16 where',
    );
  });

  const lineOf = (text: string) => toolkit.split('\n').findIndex((line) => line.includes(text)) + 1;
  test.each([
    ['lr: 1e-4', 'lr: 20', 'train.learning_rate (lr as written): 20 is out of range'],
    ['linear: 16', 'linear: 0', 'lora.rank (linear as written): 0 is out of range'],
    ['type: lora', 'type: lokr', 'network_type: "lokr" is not something that Tiller does'],
    ['noise_scheduler: ddpm', 'noise_scheduler: flowmatch', 'noise_scheduler: "flowmatch" is not'],
    ['is_v_pred: false', 'is_flux: true', 'is_flux: true is not something that Tiller does'],
    ['resolution: [512]', 'resolution: [512, 768]', 'resolution: {"sizes":[512,768]} is not one'],
    ['- a blue barn', '- 7', 'samples.prompts.1.text (sample_prompts as written): 7 is the wrong'],
    ['train_unet: true', 'mystery: 3', 'mystery: unknown here'],
  ])('%s become %s is refused at its line', (from, to, says) => {
    const [problem, ...more] = refusal(toolkit.replace(from, to));
    expect(more).toEqual([]);
    expect(problem).toContain(says);
    if (!to.startsWith('- ')) expect(problem).toContain(`(recipe.yaml, line ${lineOf(from)})`);
  });
});

describe('their names in a recipe of ours', () => {
  const data = 'data:\n  folder: pictures\n';
  test('stand at the top, in a section, or in --set', () => {
    const { recipe, notes } = parse(
      `${data}  flip_aug: true\nlearning_rate: 0.002\ntrain:\n  gradient_accumulation_steps: 2\n`,
      'recipe.yaml',
      ['network_dim=8', 'train.max_grad_norm=2', 'max_train_steps=100'],
    );
    expect(recipe).toMatchObject({
      model: { architecture: 'sd1-unet' },
      data: { flip: true },
      lora: { rank: 8 },
      train: { learning_rate: 0.002, accumulation: 2, clip: 2, epochs: 10, steps_per_epoch: 10 },
    });
    expect(notes).toEqual(
      expect.arrayContaining([
        'flip_aug is data.flip here',
        'learning_rate is train.learning_rate here',
        'gradient_accumulation_steps is train.accumulation here',
        'network_dim is lora.rank here',
        'max_train_steps 100 is 10 epochs of 10 steps here',
      ]),
    );
  });
  test('a recipe of ours alone has no notes', () => {
    expect(parse(`${data}train: {epochs: 3}\nseed: 1`).notes).toEqual([]);
  });
  test('twice the same is fine, and two values are an error with both places', () => {
    expect(parse(`${data}train: {batch: 2, batch_size: 2}`).recipe.train.batch).toBe(2);
    expect(refusal(`${data}train:\n  batch: 2\n  batch_size: 3`)).toEqual([
      'batch_size: 3 for train.batch, which is 2 by train.batch at line 4 (recipe.yaml, line 5). Say it once.',
    ]);
    expect(refusal(`${data}train_batch_size: 2\nbatch_size: 3`)).toEqual([
      'batch_size: 3 for train.batch, which is 2 by train_batch_size at line 3 (recipe.yaml, line 4). Say it once.',
    ]);
  });
  test('in a section only for what is in that section', () => {
    expect(refusal(`${data}samples: {seed: 5}`)).toEqual([
      'seed: unknown key at samples.seed (recipe.yaml, line 3). Did you mean seed?',
    ]);
    expect(refusal(`${data}validation: {lr: 5}`)[0]).toContain('Did you mean train.learning_rate?');
    expect(refusal(data, 'recipe.yaml', ['samples.lr=5'])[0]).toContain('unknown key');
  });
  test('two of their names for one thing must agree', () => {
    expect(parse(`${data}lora_rank: 8\nnetwork_dim: 8`).recipe.lora?.rank).toBe(8);
    expect(refusal(`${data}lora_rank: 8\nnetwork_dim: 9`)).toEqual([
      'lora_rank: 8, and network_dim is 9 (recipe.yaml, line 3). They are the same setting: say it once.',
    ]);
  });
  test('--set counts more than the file, under whichever name', () => {
    const { train } = parse(`${data}lr: 0.1`, 'recipe.yaml', ['train.learning_rate=0.2']).recipe;
    expect(train.learning_rate).toBe(0.2);
    const wrong = refusal(data, 'recipe.yaml', ['network_dim=0']);
    expect(wrong).toEqual([
      'lora.rank: 0 is out of range (--set network_dim=0). Allowed: an integer, 1 to 1,024.',
    ]);
    const own = parse(`${data}lora: {rank: 4}`, 'recipe.yaml', ['network_dim=9']).recipe;
    expect(own.lora?.rank).toBe(9);
    expect(refusal(data, 'recipe.yaml', ['xformers.x=1'])[0]).toContain('unknown key at xformers');
  });
  test.each([
    ['use_ema: false', { train: { ema: 0 } }],
    ['use_ema: true', { train: { ema: 0.999 } }],
    ['ema_decay: 0.9', { train: { ema: 0.9 } }],
    ['mixed_precision: no', { train: { precision: 'f32' } }],
    ['mixed_precision: bf16', { train: { precision: 'bf16' } }],
    ['train_dtype: FLOAT_16', { train: { precision: 'auto' } }],
    ['{train: {precision: f16}}', { train: { precision: 'f16' } }],
    ['resolution: 64', { data: { resolution: 64 } }],
    ['resolution: [64, 64]', { data: { resolution: 64 } }],
    ['{resolution: "512,768"; enable_bucket: true}', { data: { resolution: 627, fit: 'buckets' } }],
    ['text_encoder_layer_skip: 0', { model: { clip_skip: 1 } }],
    ['alpha_mask: true', { data: { masks: 'alpha' } }],
    [
      '{masked_loss: true; conditioning_data_dir: /m}',
      { data: { masks: 'folder', mask_folder: '/m' } },
    ],
    ['random_crop: true', { data: { crop: 'random' } }],
    ['{max_train_steps: 200; lr_warmup_steps: 0.1}', { train: { warmup_steps: 20, epochs: 10 } }],
    ['{max_train_steps: 200; lr_warmup: 5}', { train: { warmup_steps: 10 } }],
    [
      '{max_train_steps: 205; save_every_n_steps: 50}',
      { train: { epochs: 5, steps_per_epoch: 50 } },
    ],
    ['{max_train_steps: 9; max_train_epochs: 2}', { train: { epochs: 2 } }],
    ['network_dim: 8', { lora: { rank: 8, alpha: 16 }, train: { text_encoder: false } }],
    ['lora_rank: 8', { lora: { rank: 8, alpha: 16 } }],
  ])('%s', (text, expected) => {
    // A small model of ours, which a sign of another trainer would have made Stable Diffusion.
    const ours = `model: {architecture: sd1-unet}\n`;
    const written = text.startsWith('{') ? text.slice(1, -1).split('; ').join('\n') : text;
    expect(parse(`${data}${ours}${written}`).recipe).toMatchObject(expected);
  });
});

describe('what a file of theirs leaves out is as there', () => {
  const least = 'pretrained_model_name_or_path: b\ntrain_data_dir: p\nmax_train_epochs: 1\n';
  test.each([
    ['network_dim: 8\nlearning_rate: 3e-5', { rank: 8, alpha: 1 }, true, 3e-5],
    ['network_module: networks.lora', { rank: 4, alpha: 1 }, true, 5e-5],
    ['network_dim: 8\nnetwork_train_unet_only: true', { rank: 8, alpha: 1 }, false, 5e-5],
    ['network_dim: 8\ntext_encoder_lr: 0', { rank: 8, alpha: 1 }, false, 5e-5],
    ['text_encoder_lr: [1e-6, 2e-6]', undefined, true, 1e-6],
    ['', undefined, false, 5e-5],
  ])('%j', (text, lora, textEncoder, rate) => {
    const { recipe } = parse(least + text);
    expect(recipe.model.architecture).toBe('sd1');
    if (lora === undefined) expect(recipe.lora).toBeUndefined();
    else expect(recipe.lora).toMatchObject(lora);
    expect(recipe.train.text_encoder).toBe(textEncoder);
    expect(recipe.train.text_encoder_learning_rate).toBe(rate);
  });
  test('a recipe of ours with a base in their words trains Stable Diffusion, too', () => {
    const { recipe } = parse('pretrained_model_name_or_path: b\ndata: {folder: p}');
    expect(recipe.model.architecture).toBe('sd1');
    expect(parse('base: b\ndata: {folder: p}').recipe.model.architecture).toBe('sd1-unet');
  });
});

describe('a file of prompts', () => {
  const recipe = 'data: {folder: p}\nsamples: {prompts: [one], prompts_file: FILE}';
  test.each([
    ['none.txt', null, 'none.txt cannot be read (ENOENT)'],
    ['bad.txt', 'a --x 3', 'bad.txt, line 1: '],
    ['wide.txt', '\na --w 37.5', 'wide.txt, line 2: '],
    [
      'size.txt',
      'a --w 37',
      "samples.prompts.1.width: 37 pixels are a size that this U-Net can't do",
    ],
    ['many.txt', 'a\n'.repeat(256), '257 prompts in all'],
  ])('%s is refused', (name, content, says) => {
    if (content !== null) writeFileSync(join(folder, name), content);
    expect(refusal(recipe.replace('FILE', name))[0]).toContain(says);
  });
  test("comes after the recipe's own", () => {
    const { prompts } = parse(recipe.replace('FILE', 'prompts.txt')).recipe.samples;
    expect(prompts.map(({ text }) => text)).toEqual(['one', 'a red barn', 'a blue barn']);
  });
});

test('nothing is written into what all objects share', () => {
  for (const set of ['__proto__.polluted=1', 'constructor.prototype.polluted=1']) {
    expect(() => parse('data: {folder: p}', 'recipe.yaml', [set])).toThrow();
  }
  expect(() => parse('{"__proto__": {"network_dim": 3}, "data": {"folder": "p"}}')).toThrow();
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});
