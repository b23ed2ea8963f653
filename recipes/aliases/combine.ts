/**
 * Settings that only several of together say what is meant. Each of these takes what it understands
 * out of the settings; the rest goes by the table.
 */
import { network } from './network.ts';
import { lengthOf } from './length.ts';
import { type Assignment, isEmpty, type Setting, type SettingProblem, wrong } from './setting.ts';
import { numeric } from './values.ts';

/** The settings of a document by name, while they are being understood. */
export class Settings {
  readonly #byName: Map<string, Setting>;
  readonly assignments: Assignment[] = [];
  readonly problems: SettingProblem[] = [];
  /** What was understood to change nothing, beside why. */
  readonly unneeded: { name: string; why: string }[] = [];

  constructor(settings: readonly Setting[]) {
    this.#byName = new Map(
      settings.filter(({ value }) => !isEmpty(value)).map((setting) => [setting.name, setting]),
    );
  }

  /** The first of the names that is given; it is still there afterwards. */
  find(...names: string[]): Setting | undefined {
    const name = names.find((candidate) => this.#byName.has(candidate));
    return name === undefined ? undefined : this.#byName.get(name);
  }

  /** The first of the names that is given; none of them is there afterwards. */
  take(...names: string[]): Setting | undefined {
    const found = this.find(...names);
    for (const name of names) this.#byName.delete(name);
    return found;
  }

  rest(): Setting[] {
    return [...this.#byName.values()];
  }

  assign(to: string, value: unknown, from: Setting, note?: string): void {
    this.assignments.push({
      to: to.split('.'),
      value,
      from,
      ...(note === undefined ? {} : { note }),
    });
  }
}

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
  const both = settings.find('learning_rate', 'lr');
  const from = settings.take('unet_lr', 'learning_rate', 'lr');
  if (from !== undefined) settings.assign('train.learning_rate', numeric(from.value), from);
  const only = settings.take('network_train_unet_only', 'train_text_encoder');
  const rate = settings.take('text_encoder_lr');
  const trains = settings.assignments.some(({ to }) => to[0] === 'lora');
  const value = numeric(Array.isArray(rate?.value) ? rate.value[0] : rate?.value);
  if (only !== undefined && typeof only.value !== 'boolean') {
    settings.problems.push(wrong(only, `${String(only.value)} is not true or false`, ''));
    return;
  }
  const asked = only && (only.name === 'train_text_encoder' ? only.value : !only.value);
  const isTrained = asked ?? (rate !== undefined ? value !== 0 : trains);
  const reason = only ?? rate ?? settings.assignments.find(({ to }) => to[0] === 'lora')?.from;
  if (reason === undefined) return;
  const note =
    only === undefined && isTrained === true
      ? 'train.text_encoder is true, as there without network_train_unet_only'
      : undefined;
  // ai-toolkit, which has no such key at the network, leaves it alone unless it is told.
  if (only === undefined && rate === undefined && reason.name === 'linear') return;
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

/** `["a=1", "b=2"]`, `"a=1 b=2"` or `{a: 1, b: 2}`. */
export function pairsOf(value: unknown): [string, string][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value).map(([name, inner]) => [name, String(inner)]);
  }
  const words = Array.isArray(value) ? value.map(String) : String(value).split(/\s+(?=\w+=)/);
  return words.map((word) => {
    const [name = '', ...rest] = word.split('=');
    return [name.trim(), rest.join('=').trim()];
  });
}

function average(settings: Settings): void {
  const decay = settings.take('ema_decay');
  const use = settings.take('use_ema');
  if (use?.value === false) settings.assign('train.ema', 0, use);
  else if (decay !== undefined) settings.assign('train.ema', numeric(decay.value), decay);
  else if (use !== undefined) settings.assign('train.ema', 0.999, use);
}

const SAMPLERS: Readonly<Record<string, string>> = {
  ddim: 'ddim',
  'dpm++2m': 'dpm++2m',
  'dpm++_2m': 'dpm++2m',
  dpmsolver: 'dpm++2m',
  'dpmsolver++': 'dpm++2m',
};

/** Samplers change nothing that is trained, so that one that isn't here is no reason to stop. */
function prompts(settings: Settings): void {
  const sampler = settings.take('sample_sampler');
  if (sampler !== undefined) {
    const word = String(sampler.value).toLowerCase();
    const ours = Object.hasOwn(SAMPLERS, word) ? SAMPLERS[word] : undefined;
    const note = ours === undefined ? `${word} is no sampler here: ddim is used` : undefined;
    settings.assign('samples.sampler', ours ?? 'ddim', sampler, note);
  }
  const given = settings.take('sample_prompts');
  if (given === undefined) return;
  const key = Array.isArray(given.value) ? 'samples.prompts' : 'samples.prompts_file';
  settings.assign(key, given.value, given);
}
