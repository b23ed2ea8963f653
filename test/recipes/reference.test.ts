import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { aliases } from '../../recipes/aliases/table.ts';
import { refused } from '../../recipes/aliases/refused.ts';
import { unused } from '../../recipes/aliases/unused.ts';
import { recipeKeys } from '../../recipes/keys.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/reference/recipe.md'), 'utf8');

const code = (text: string) => (text === '' || text === 'required' ? text : `\`${text}\``);
const rowOf = ({
  path,
  allowed,
  default: value,
  description,
}: ReturnType<typeof recipeKeys>[number]) =>
  `| \`${path}\` | ${allowed} | ${code(value)} | ${elsewhere(path)} | ${description} |`;

const elsewhere = (path: string): string =>
  [...aliases]
    .filter(([name, { to }]) => to === path && name !== path.split('.').at(-1))
    .map(([name]) => `\`${name}\``)
    .join(' ');

test('every key has a row with its range, default, other names and description', () => {
  const rows = page.split('\n');
  expect(
    recipeKeys()
      .map(rowOf)
      .filter((row) => !rows.includes(row)),
  ).toEqual([]);
});

test('every row is a key', () => {
  const known = new Set(recipeKeys().map(({ path }) => path));
  const documented = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, path]) => path!);
  expect(documented.filter((path) => !known.has(path))).toEqual([]);
  expect(documented).toHaveLength(known.size);
});

test('every key is described', () => {
  expect(
    recipeKeys()
      .filter(({ description }) => description === '')
      .map(({ path }) => path),
  ).toEqual([]);
});

test('every name of another trainer stands for a key, and no name for two things', () => {
  const known = new Set(recipeKeys().map(({ path }) => path));
  expect([...aliases].filter(([, { to }]) => !known.has(to))).toEqual([]);
  const names = [...aliases.keys(), ...unused.keys(), ...refused.keys()];
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

/** shared/reference/trainers.md: what users of other trainers expect to be understood. */
const expected =
  'pretrained_model_name_or_path name_or_path network_dim network_alpha linear linear_alpha lora_rank lora_alpha learning_rate unet_lr lr text_encoder_lr network_train_unet_only optimizer_type lr_scheduler lr_warmup_steps max_train_steps max_train_epochs steps train_batch_size gradient_accumulation_steps max_grad_norm clip_grad_norm enable_bucket min_bucket_reso max_bucket_reso bucket_reso_steps bucket_no_upscale num_repeats prior_loss_weight caption_extension shuffle_caption keep_tokens caption_dropout_rate trigger_word flip_aug masked_loss alpha_mask min_snr_gamma snr_gamma noise_offset offset_noise_weight v_parameterization zero_terminal_snr clip_skip text_encoder_layer_skip mixed_precision gradient_checkpointing use_ema ema_decay cache_latents cache_latents_to_disk save_every_n_steps max_step_saves_to_keep sample_every_n_steps sample_prompts validation_split validation_seed seed optimizer_args';

test.each(expected.split(' '))('%s is understood', (name) => {
  expect(aliases.has(name) || unused.has(name)).toBe(true);
});
