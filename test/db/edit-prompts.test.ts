import { expect, test } from '@jest/globals';
import { promptLine } from '../../db/beginnings.ts';
import { editPrompts, type PromptEdit, whyNotEdited } from '../../db/edit-prompts.ts';
import { activePrompts, extraOf } from '../../db/prompts.ts';
import { createRequest } from '../../db/requests.ts';
import { newRecord, newRun } from './record.ts';

const street = { text: 'a street', seed: 7, picture: '/pictures/street.png' };
const made = () => {
  const db = newRecord();
  const prompts = [street, { ...street, mask: '/pictures/door.png', steps: 30 }, 'a street'];
  const run = newRun(db, { samples: { prompts } }).id;
  const edit = (change: PromptEdit) => {
    const why = whyNotEdited(db, run, change, 256);
    if (why !== undefined) return why;
    const given = { run, verb: 'prompts' as const, arguments: { ...change } };
    return editPrompts(db, createRequest(db, given).id);
  };
  const active = () =>
    activePrompts(db, run).map((row) => ({ position: row.position, line: promptLine(row) }));
  return { db, run, edit, active };
};

test('prompts of one text are apart by what they begin from', () => {
  expect(
    made()
      .active()
      .map(({ line }) => line),
  ).toEqual(['a street, from street.png', 'a street, in street.png', 'a street']);
});

test('a changed prompt keeps the picture, mask and steps that the change says nothing of', () => {
  const { db, run, edit, active } = made();
  edit({ add: { text: 'a canal', negative: '', seed: 7 }, drop: 1 });
  expect(active().at(-1)).toEqual({ position: 3, line: 'a canal, in street.png' });
  expect(extraOf(activePrompts(db, run).at(-1)!)).toEqual({
    picture: '/pictures/street.png',
    mask: '/pictures/door.png',
    steps: 30,
  });
});

test('a new prompt is a twin only where it begins alike', () => {
  const { edit } = made();
  const twin = 'it is sampled with this very prompt already';
  const plain = { text: 'a street', negative: '', seed: 7 };
  expect(edit({ add: plain })).toBe(twin);
  expect(edit({ add: plain, drop: 0 })).toBe(twin);
  expect(edit({ add: { ...plain, picture: '/pictures/other.png' } })).toBeUndefined();
  expect(edit({ add: { ...plain, picture: '/pictures/other.png' } })).toBe(twin);
});
