import { describe, expect, test } from '@jest/globals';
import { withTrigger } from '../../../activities/dataset/caption-of.ts';
import { manifestOf, problemsOf, useFolder } from './use-folder.ts';

const { paint, prepare, write, path } = useFolder();
let colour = 0;
/** Each another. */
const add = (name: string) => {
  colour = (colour + 1) % 256;
  const value = colour;
  return paint(name, 4, 4, () => [value, 0, 0]);
};
const taken = (set: Awaited<ReturnType<typeof prepare>>) =>
  set.items.map(({ file, repeats, captions }) => `${file} ×${repeats} ${captions[0]!.text}`);

describe('folders as kohya has them', () => {
  test('their numbers are repeats, and their words the caption of pictures without one', async () => {
    await add('10_sks dog/a.png');
    await add('10_sks dog/b.png');
    write('10_sks dog/b.txt', 'sks dog, running');
    await add('2_a_cat/c.png');
    write('2_a_cat/c.txt', ' ');
    write('notes.md', 'not a picture');
    expect(taken(await prepare())).toEqual([
      '10_sks dog/a.png ×10 sks dog',
      '10_sks dog/b.png ×10 sks dog, running',
      '2_a_cat/c.png ×2 a_cat',
    ]);
    expect(taken(await prepare({ repeats: 3 }))[2]).toBe('2_a_cat/c.png ×6 a_cat');
  });
  test('auto: only if all are so named', async () => {
    await add('10_sks dog/a.png');
    await add('other/b.png');
    await add('c.png');
    await add('0_none/d.png');
    const set = await prepare({ default_caption: 'x' });
    expect(taken(set)).toEqual([
      '0_none/d.png ×1 x',
      '10_sks dog/a.png ×1 x',
      'c.png ×1 x',
      'other/b.png ×1 x',
    ]);
    const kohya = await prepare({ layout: 'kohya' });
    expect(taken(kohya)).toEqual(['10_sks dog/a.png ×10 sks dog']);
    expect(problemsOf(kohya)).toEqual([
      '0_none/d.png no-repeats',
      'c.png outside-layout',
      'other/b.png outside-layout',
    ]);
  });
  test('plain takes names for nothing', async () => {
    await add('10_sks dog/a.png');
    await expect(prepare({ layout: 'plain' })).rejects.toThrow('1 no-caption');
  });
});

describe('captions', () => {
  test('the first ending that is there counts, and a default for none', async () => {
    for (const name of ['a', 'b', 'c']) await add(`${name}.png`);
    write('a.txt', 'from txt');
    write('a.caption', 'from caption');
    write('b.tags.txt', 'from tags');
    const endings = ['.tags.txt', '.caption', '.txt'];
    const set = await prepare({ caption_extension: endings, default_caption: 'a thing' });
    expect(taken(set)).toEqual(['a.png ×1 from caption', 'b.png ×1 from tags', 'c.png ×1 a thing']);
    const none = await prepare({ caption_extension: ['.caption'] });
    expect(problemsOf(none)).toEqual(['b.png no-caption', 'c.png no-caption']);
  });
  test.each([
    ['a dog', 'sks', 'sks, a dog'],
    ['a photo of [trigger], [trigger]', 'sks', 'a photo of sks, sks'],
    ['SKS dog', 'sks', 'SKS dog'],
    ['two desks', 'sks', 'sks, two desks'],
    ['a $& (x)', '$& (x)', 'a $& (x)'],
    ['ein Bär', 'är', 'är, ein Bär'],
    ['a dog', undefined, 'a dog'],
  ])('%j with the trigger %j is %j', (text, trigger, expected) => {
    expect(withTrigger(text, trigger)).toBe(expected);
  });
});

describe('regularisation', () => {
  const addRegularisation = async (count: number) => {
    for (let i = 0; i < count; i++) {
      await paint(`../classes/1_dog/${i}.png`, 4, 4, () => [0, i, 99]);
    }
  };
  const folders = () => ({
    regularisation_folder: path('classes'),
    default_caption: 'x',
    trigger_word: 'sks',
  });

  test('fewer are repeated, without the trigger word, and none is held out', async () => {
    for (let i = 0; i < 12; i++) await add(`${i}.png`);
    await addRegularisation(3);
    const set = await prepare({ ...folders(), repeats: 2, validation_share: 0.25 });
    expect(set).toMatchObject({ trainItems: 9, validationItems: 3, regularisationItems: 3 });
    const { train, validation } = manifestOf(set);
    const others = train.filter(({ regularisation }) => regularisation);
    expect(others.map(({ file, repeats }) => [file, repeats])).toEqual([
      ['classes/1_dog/0.png', 6],
      ['classes/1_dog/1.png', 6],
      ['classes/1_dog/2.png', 6],
    ]);
    expect(others[0]!.captions[0]!.text).toBe('dog');
    expect(train.find(({ regularisation }) => !regularisation)!.captions[0]!.text).toBe('sks, x');
    expect(validation.map(({ repeats }) => repeats)).toEqual([1, 1, 1]);
    expect(validation.some(({ regularisation }) => regularisation)).toBe(false);
  });

  test('of more than there is room for, the first by hash are used and the rest counted', async () => {
    for (let i = 0; i < 4; i++) await add(`${i}.png`);
    await addRegularisation(10);
    const used = async (seed: number) => {
      const set = await prepare(folders(), seed);
      expect(set.regularisationItems).toBe(4);
      expect(set.problemCounts).toEqual({ 'regularisation-unneeded': 6 });
      expect(new Set(set.items.map(({ key }) => key)).size).toBe(8);
      return set.items.slice(4).map(({ file }) => file);
    };
    expect(await used(42)).toEqual(await used(42));
    expect((await used(42)).toSorted()).not.toEqual((await used(43)).toSorted());
  });

  test('one inside the data folder is no training picture', async () => {
    await add('a.png');
    await paint('classes/b.png', 4, 4, () => [0, 5, 99]);
    const set = await prepare({ ...folders(), regularisation_folder: path('pictures/classes') });
    expect(set.items.map(({ file, regularisation }) => [file, regularisation])).toEqual([
      ['a.png', false],
      ['classes/b.png', true],
    ]);
  });

  test('a folder that is not there is named by its key', async () => {
    await add('a.png');
    await expect(prepare(folders())).rejects.toMatchObject({
      code: 'DATA_FOLDER_MISSING',
      hint: expect.stringContaining('data.regularisation_folder'),
    });
  });
});
