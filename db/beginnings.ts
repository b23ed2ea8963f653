/** What a sample begins from, if not from noise alone: a part of what it is, like its seed. */
import { basename } from 'node:path';
import type { PromptRow } from './prompts.ts';
import { extraOf } from './prompts.ts';

type Extra = Pick<PromptRow, 'extra'>;

/** Equal where two samples begin alike; '' for noise. */
export function beginningOf(row: Extra): string {
  const { picture, strength, mask, outpaint } = extraOf(row);
  return picture === undefined ? '' : JSON.stringify([picture, strength, mask, outpaint]);
}

/** A prompt in words, with what it begins from: 'a red door, in street.png'. */
export function promptLine({ text, extra }: Extra & Pick<PromptRow, 'text'>): string {
  const { picture, mask, outpaint } = extraOf({ extra });
  const words = text === '' ? 'empty prompt' : text;
  if (picture === undefined) return words;
  const how = outpaint !== undefined ? 'around' : mask === undefined ? 'from' : 'in';
  return `${words}, ${how} ${basename(picture)}`;
}
