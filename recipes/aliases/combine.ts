/**
 * Settings that only several of together say what is meant. Each of these takes what it understands
 * out of the settings; the rest goes by the table.
 */
import { findSampler } from '../sampler-names.ts';
import { network } from './network.ts';
import { lengthOf } from './length.ts';
import { wrong } from './setting.ts';
import type { Settings } from './settings.ts';
import { numeric, pairsOf } from './values.ts';

export function combine(settings: Settings): void {
  network(settings);
  lengthOf(settings);
  resolution(settings);
  learningRates(settings);
  optimizerArguments(settings);
  average(settings);
  prompts(settings);
}

function resolution(settings: Settings): void {
  const from = settings.take('resolution', 'max_resolution');
  if (from === undefined) return;
  const sides = (Array.isArray(from.value) ? from.value : String(from.value).split(/[,x]/)).map(
    (side: unknown) => numeric(side),
  );
  const [width, height = width] = sides;
  if (sides.length > 2 || typeof width !== 'number' || typeof height !== 'number') {
    settings.problems.push(
      wrong(from, `${JSON.stringify(from.value)} is not one size`, 'Write it as 512 or "512,512".'),
    );
  } else if (width === height) {
    settings.assign('data.resolution', width, from);
  } else if (settings.find('enable_bucket')?.value === true) {
    const side = Math.floor(Math.sqrt(width * height));
    settings.assign(
      'data.resolution',
      side,
      from,
      `resolution ${width} × ${height} is data.resolution ${side} here: buckets of the same area`,
    );
  } else {
    settings.problems.push(
      wrong(from, `${width} × ${height} is not square`, 'Set enable_bucket: true, or a square.'),
    );
  }
}

function learningRates(settings: Settings): void {
  const both = settings.take('learning_rate', 'lr');
  const unet = settings.take('unet_lr');
  const from = unet ?? both;
  if (unet !== undefined && both !== undefined && settings.find('text_encoder_lr') !== undefined) {
    settings.unneeded.push({ name: both.name, why: 'unet_lr and text_encoder_lr count more' });
  }
  if (from !== undefined) settings.assign('train.learning_rate', numeric(from.value), from);
  const unetOnly = settings.take('network_train_unet_only');
  const only = unetOnly ?? settings.take('train_text_encoder');
  const rate = settings.take('text_encoder_lr');
  // kohya's trainers train it beside a LoRA unless they are told not to; the others don't.
  const kohyas = settings.foreign ? settings.network : undefined;
  const value = numeric(Array.isArray(rate?.value) ? rate.value[0] : rate?.value);
  if (only !== undefined && typeof only.value !== 'boolean') {
    settings.problems.push(wrong(only, `${String(only.value)} is not true or false`, ''));
    return;
  }
  const asked = only && (only === unetOnly ? !only.value : only.value);
  const isTrained = asked ?? (rate !== undefined ? value !== 0 : true);
  const reason = only ?? rate ?? kohyas;
  if (reason === undefined) return;
  const note =
    only === undefined && isTrained === true
      ? 'train.text_encoder is true, as there without network_train_unet_only'
      : undefined;
  settings.assign('train.text_encoder', isTrained, reason, note);
  if (isTrained !== true) return;
  const own = rate ?? both;
  if (own === undefined) return;
  const its = rate === undefined ? numeric(own.value) : value;
  settings.assign('train.text_encoder_learning_rate', its, own);
}

const ARGUMENTS: Readonly<Record<string, string[]>> = {
  weight_decay: ['train.weight_decay'],
  betas: ['train.beta1', 'train.beta2'],
  eps: ['train.epsilon'],
};

function optimizerArguments(settings: Settings): void {
  const from = settings.take('optimizer_args', 'optimizer_params');
  for (const [name, text] of from === undefined ? [] : pairsOf(from.value)) {
    const keys = Object.hasOwn(ARGUMENTS, name) ? ARGUMENTS[name]! : [];
    const figures = text
      .replace(/[()[\]]/g, '')
      .split(',')
      .map(numeric);
    if (keys.length === 0) {
      const advice = `Known: ${Object.keys(ARGUMENTS).join(', ')}. Leave the others out.`;
      settings.problems.push(
        wrong(from!, `${name} is not an argument that can be set here`, advice),
      );
    }
    for (const [index, key] of keys.entries()) {
      settings.assign(key, figures[index], from!, `${from!.name} ${name} is ${key} here`);
    }
  }
}

function average(settings: Settings): void {
  const decay = settings.take('ema_decay');
  const use = settings.take('use_ema');
  if (use?.value === false) settings.assign('train.ema', 0, use);
  else if (decay !== undefined) settings.assign('train.ema', numeric(decay.value), decay);
  else if (use !== undefined) settings.assign('train.ema', 0.999, use);
}

/** Samplers change nothing that is trained, so that one that isn't here is no reason to stop. */
function prompts(settings: Settings): void {
  const sampler = settings.take('sample_sampler');
  if (sampler !== undefined) {
    const word = String(sampler.value);
    const ours = findSampler(word);
    const note = ours === undefined ? `${word} is no sampler here: ddim is used` : undefined;
    settings.assign('samples.sampler', ours?.sampler ?? 'ddim', sampler, note);
    if (ours?.karras === true) settings.assign('samples.karras', true, sampler);
  }
  const given = settings.take('sample_prompts');
  if (given === undefined) return;
  const key = Array.isArray(given.value) ? 'samples.prompts' : 'samples.prompts_file';
  settings.assign(key, given.value, given);
}
