import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { RecipeError } from '../../recipes/problem.ts';
import { parsePromptLines } from '../../recipes/prompt-lines.ts';
import { MAX_PROMPT_LENGTH, MAX_PROMPTS, promptSchema } from '../../recipes/schema.ts';

function problems(text: string): readonly string[] {
  try {
    parsePromptLines(text, 'p.txt');
  } catch (error) {
    if (error instanceof RecipeError) return error.problems;
    throw error;
  }
  return [];
}

describe('a line', () => {
  test.each([
    ['a cat', { text: 'a cat' }],
    [
      'a cat, sitting --n bad, blurry --w 512 --h 768 --d 42 --s 28 --l 7.5',
      {
        text: 'a cat, sitting',
        negative: 'bad, blurry',
        width: 512,
        height: 768,
        seed: 42,
        steps: 28,
        guidance: 7.5,
      },
    ],
    ['a cat --W 64 --N low', { text: 'a cat', width: 64, negative: 'low' }],
    ['  a cat\t--d  0  ', { text: 'a cat', seed: 0 }],
    ['--w 64', { text: '', width: 64 }],
    ['a -- b --- c - d-e', { text: 'a -- b --- c - d-e' }],
    ['mother--in--law --s 2', { text: 'mother--in--law', steps: 2 }],
    ['a --l .5', { text: 'a', guidance: 0.5 }],
    ['a --l 0', { text: 'a', guidance: 0 }],
    ['a --d 4294967295', { text: 'a', seed: 4_294_967_295 }],
    ['a (cat:1.2) # not a comment', { text: 'a (cat:1.2) # not a comment' }],
  ])('%s', (line, expected) => expect(parsePromptLines(line)).toEqual([expected]));
});

test('comments and empty lines are passed over, line ends of all systems are read', () => {
  const text = '\uFEFF# first\r\na\r\n\r\n   \n  # b\nb --w 64\rc';
  expect(parsePromptLines(text)).toEqual([{ text: 'a' }, { text: 'b', width: 64 }, { text: 'c' }]);
  expect(parsePromptLines('')).toEqual([]);
});

describe('refused, with the line', () => {
  test.each([
    ['a --x 1', 'there is no option --x. There are --n, --w, --h, --d, --s, --l.'],
    ['a --width 64', 'there is no option --width. Write --w.'],
    ['a --sed 1', 'there is no option --sed. Write --d.'],
    ['a --negativ b', 'there is no option --negativ. Write --n.'],
    ['a --w', '--w has no value.'],
    ['a --w --h 64', '--w has no value.'],
    ['a --n', '--n has no value.'],
    ['a --w 64 --w 128', '--w is there twice. Keep one.'],
    ['a --w 64x', '--w (width) is "64x". It is a whole number from 8 to 4096.'],
    ['a --w 64.5', '--w (width) is "64.5". It is a whole number from 8 to 4096.'],
    ['a --w 4', '--w (width) is "4". It is a whole number from 8 to 4096.'],
    ['a --h 9999', '--h (height) is "9999". It is a whole number from 8 to 4096.'],
    ['a --d -1', '--d (seed) is "-1". It is a whole number from 0 to 4294967295.'],
    ['a --d 4294967296', '--d (seed) is "4294967296". It is a whole number from 0 to 4294967295.'],
    ['a --d 0x10', '--d (seed) is "0x10". It is a whole number from 0 to 4294967295.'],
    ['a --s 0', '--s (steps) is "0". It is a whole number from 1 to 1000.'],
    ['a --l x', '--l (guidance) is "x". It is a number from 0 to 100.'],
    ['a --l 1e1', '--l (guidance) is "1e1". It is a number from 0 to 100.'],
    ['a --l 101', '--l (guidance) is "101". It is a number from 0 to 100.'],
    ['a --l .', '--l (guidance) is ".". It is a number from 0 to 100.'],
    ['x'.repeat(MAX_PROMPT_LENGTH + 1), 'the prompt has 2001 characters. At most 2000.'],
    [`a --n ${'x'.repeat(MAX_PROMPT_LENGTH + 1)}`, '--n has 2001 characters. At most 2000.'],
  ])('%s', (line, what) =>
    expect(problems(`# one\nfine\n${line}`)).toEqual([`p.txt, line 3: ${what}`]),
  );
  test('all that is wrong at once', () => {
    expect(problems('a --q 1 --w x\n\nb --s 0')).toEqual([
      'p.txt, line 1: there is no option --q. There are --n, --w, --h, --d, --s, --l.',
      'p.txt, line 1: --w (width) is "x". It is a whole number from 8 to 4096.',
      'p.txt, line 3: --s (steps) is "0". It is a whole number from 1 to 1000.',
    ]);
  });
  test('too many prompts', () => {
    expect(problems('a\n'.repeat(MAX_PROMPTS))).toEqual([]);
    expect(problems('a\n'.repeat(MAX_PROMPTS + 1))).toEqual([
      'p.txt: 257 prompts are too many. At most 256.',
    ]);
  });
});

describe('for any text', () => {
  const words = fc.constantFrom(
    'a',
    '--w 64',
    '--n',
    '--',
    '-',
    ' ',
    '\n',
    '#',
    '--q',
    '--l 3',
    '😀',
  );
  test('the outcome is prompts or named problems', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words).map((all) => all.join(' ')),
        ),
        (text) => {
          const named = problems(text);
          expect(named.every((line) => line.startsWith('p.txt'))).toBe(true);
        },
      ),
    );
  });
  test("what comes out is what the recipe's own prompts may be", () => {
    fc.assert(
      fc.property(fc.array(words), (all) => {
        const text = all.join(' ');
        if (problems(text).length > 0) return;
        for (const { steps: _steps, guidance: _guidance, ...prompt } of parsePromptLines(text)) {
          expect(promptSchema.safeParse(prompt).success).toBe(true);
        }
      }),
    );
  });
  test.each([
    ['w', 'width'],
    ['h', 'height'],
    ['d', 'seed'],
  ] as const)("--%s has the recipe's range of %s", (name, key) => {
    const edges = [-1, 0, 7, 8, 4096, 4097, 4_294_967_295, 4_294_967_296];
    for (const value of edges) {
      const accepted = promptSchema.safeParse({ text: '', [key]: value }).success;
      expect(problems(`a --${name} ${value}`).length === 0).toBe(accepted);
    }
  });
});
