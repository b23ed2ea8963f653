import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { errorCatalogue, retiredCodes, TillerError } from '../../recipes/errors.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/reference/errors.md'), 'utf8');
const [current = '', retired = ''] = page.split(/^# Retired$/m);
const sections = (text: string) =>
  new Map(
    [...text.matchAll(/^## (\w+)\n([^]*?)(?=^#|(?![^]))/gm)].map(([, code, body]) => [
      code!,
      body!.trim(),
    ]),
  );

describe('the catalogue and its page', () => {
  const documented = sections(current);
  test('every code has a section with its exit code', () => {
    const missing = Object.entries(errorCatalogue)
      .filter(([code, { exit }]) => documented.get(code)?.startsWith(`Exit ${exit}`) !== true)
      .map(([code]) => code);
    expect(missing).toEqual([]);
  });
  test('every section is a code', () => {
    expect([...documented.keys()].filter((code) => !(code in errorCatalogue))).toEqual([]);
  });
  test('retired codes are listed, and none is used again', () => {
    expect([...sections(retired).keys()].sort()).toEqual([...retiredCodes].sort());
    expect(retiredCodes.filter((code) => code in errorCatalogue)).toEqual([]);
  });
});

describe('the line of an error', () => {
  test.each([
    ['no hint', undefined, 'no hint. [INTERNAL]'],
    ['a sentence.', undefined, 'a sentence. [INTERNAL]'],
    ['what', 'Do that.', 'what. Do that. [INTERNAL]'],
  ])('%s, %s', (message, hint, line) => {
    expect(new TillerError('INTERNAL', message, hint === undefined ? {} : { hint }).line).toBe(
      line,
    );
  });
});
