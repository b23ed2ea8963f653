/** What other trainers' values are here. One that isn't known is passed on: the schema names it. */
const words =
  (known: Readonly<Record<string, unknown>>) =>
  (value: unknown): unknown => {
    const word = String(value).toLowerCase();
    return Object.hasOwn(known, word) ? known[word] : value;
  };

export const not = (value: unknown): unknown => (typeof value === 'boolean' ? !value : value);

export const whenTrue =
  (yes: unknown, no: unknown) =>
  (value: unknown): unknown =>
    typeof value === 'boolean' ? (value ? yes : no) : value;

export const optimizer = words({
  adamw: 'adamw',
  adamw8bit: 'adamw8bit',
  adamw_8bit: 'adamw8bit',
  pagedadamw: 'adamw',
  pagedadamw8bit: 'adamw8bit',
  paged_adamw_8bit: 'adamw8bit',
  prodigy: 'prodigy',
});

export const schedule = words({
  constant: 'constant',
  constant_with_warmup: 'constant',
  cosine: 'cosine',
  linear: 'linear',
});

/** F16 is what their files say most; the sums of its products can overflow on a device. */
const f16 = words({ fp16: 'auto', float16: 'auto', float_16: 'auto' });

export const precisionNote = (name: string, value: unknown): string | undefined =>
  f16(value) === value
    ? undefined
    : `${name}: "${String(value)}" is train.precision: "auto" here: F16 is not trained in; BF16 where the device is fast at it, else F32`;

const otherPrecision = words({
  no: 'f32',
  false: 'f32', // YAML's `no`
  fp32: 'f32',
  float32: 'f32',
  float_32: 'f32',
  bf16: 'bf16',
  bfloat16: 'bf16',
  bfloat_16: 'bf16',
});

export const precision = (value: unknown): unknown => otherPrecision(f16(value));

export const device = (value: unknown): unknown =>
  typeof value === 'string' ? value.replace(/^(\w+):\d+$/, '$1').replace(/^mps$/, 'metal') : value;

const extension = (value: unknown): unknown =>
  typeof value === 'string' && !value.startsWith('.') ? `.${value}` : value;

export const extensions = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(extension) : [extension(value)];

/** Names of files are not names of runs. */
export const runName = (value: unknown): unknown =>
  typeof value === 'string'
    ? value
        .replace(/[^A-Za-z0-9._-]+/g, '-')
        .replace(/^[^A-Za-z0-9]+/, '')
        .slice(0, 64)
    : value;

/** 0 there is 1 here: the last layer. */
export const layerSkip = (value: unknown): unknown =>
  typeof value === 'number' ? value + 1 : value;

/** Numbers are often written as text. */
export function numeric(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value)) {
    return value;
  }
  return Number(value);
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
