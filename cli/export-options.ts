/** Options that the commands which write models share. */
import { InvalidArgumentError } from 'commander';
import { TillerError } from '../recipes/errors.ts';

const DTYPES = { f16: 'F16', bf16: 'BF16', f32: 'F32' } as const;
export type Dtype = (typeof DTYPES)[keyof typeof DTYPES];

export const oneOf =
  <Word extends string>(words: readonly Word[]) =>
  (text: string): Word => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new InvalidArgumentError(`Give one of ${words.join(', ')}.`);
    return found;
  };

const dtypeNames = Object.keys(DTYPES) as (keyof typeof DTYPES)[];
export const parseDtype = (text: string): Dtype => DTYPES[oneOf(dtypeNames)(text)];

export function parseScale(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(Math.abs(value) <= 100))
    throw new InvalidArgumentError('Give a number, -100 to 100.');
  return value;
}

export function parseRank(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1024)
    throw new InvalidArgumentError('Give an integer, 1 to 1024.');
  return value;
}

/** A name with its ending, since that decides what is written. Errors: USAGE. */
export function requireSafetensors(path: string): string {
  if (path.endsWith('.safetensors')) return path;
  throw new TillerError('USAGE', `${path} does not end in .safetensors`, {
    hint: 'Give --to the file to write, such as style.safetensors.',
  });
}
