/** Names for rows: opaque, safe in an address and in a path. */
import { randomInt } from 'node:crypto';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** 10 characters have 51 bits: a million ids clash with a chance of 1 in 7,000. */
export const newId = (length = 10): string =>
  Array.from({ length }, () => LETTERS[randomInt(LETTERS.length)]).join('');
