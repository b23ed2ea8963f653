/**
 * The demo's pictures: an ordinary folder of PNG files, each with its name in a .txt beside it, as a
 * person would make one. The same files every time.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { TillerError } from '../recipes/errors.ts';

const require = createRequire(import.meta.url);
const notices = resolve(import.meta.dirname, '../recipes/examples/demo');

/** Whole groups of emoji, as Unicode sorts them. */
const groups = new Set([
  'Smileys & Emotion/heart',
  'Smileys & Emotion/face-smiling',
  'Smileys & Emotion/face-affection',
  'Smileys & Emotion/cat-face',
  'Food & Drink/food-fruit',
  'Food & Drink/food-vegetable',
  'Animals & Nature/plant-flower',
]);

/** And single ones: animals seen from the front, circles and squares, the sky. */
const animals =
  'monkey face, dog face, cat face, tiger face, horse face, cow face, pig face, mouse face, rabbit face, dragon face, fox, bear, polar bear, panda, koala, lion, wolf, hamster, raccoon, unicorn, frog, front-facing baby chick';
const colours = 'red, orange, yellow, green, blue, purple, brown, black, white';
const sky =
  'star, glowing star, sun, sun with face, crescent moon, full moon, cloud, rainbow, snowflake, fire, droplet, high voltage';
const list = (text: string): string[] => text.split(', ');
const names = new Set([
  ...list(animals),
  ...list(colours).flatMap((colour) => [`${colour} circle`, `${colour} square`]),
  ...list('black large square, white large square'),
  ...list(sky),
]);

interface Emoji {
  unified: string;
  image: string;
  category: string;
  subcategory: string;
  sort_order: number;
  has_img_google: boolean;
}

export interface DemoPicture {
  name: string;
  /** PNG of 64 × 64 pixels in emoji-datasource-google */
  source: string;
}

export async function demoPictures(): Promise<DemoPicture[]> {
  const index = find('emoji-datasource-google/emoji.json');
  const emoji = JSON.parse(await readFile(index, 'utf8')) as Emoji[];
  const cldr = await readFile(find('unicode-emoji-json/data-by-emoji.json'), 'utf8');
  const named = JSON.parse(cldr) as Record<string, { name: string }>;
  return emoji
    .filter(({ has_img_google: there }) => there)
    .sort((a, b) => a.sort_order - b.sort_order)
    .flatMap(({ unified, image, category, subcategory }) => {
      const letters = String.fromCodePoint(
        ...unified.split('-').map((hex) => Number.parseInt(hex, 16)),
      );
      const name = named[letters]?.name;
      if (name === undefined) return [];
      if (!groups.has(`${category}/${subcategory}`) && !names.has(name)) return [];
      return [{ name, source: join(dirname(index), 'img/google/64', image) }];
    });
}

function find(file: string): string {
  try {
    return require.resolve(file);
  } catch (error) {
    throw new TillerError(
      'DATA_FOLDER_MISSING',
      `The demo's pictures are missing: ${file} is not installed`,
      {
        hint: 'Run `npm install` in the clone.',
        cause: error,
      },
    );
  }
}

export interface DemoData {
  folder: string;
  pictures: number;
  notice: string;
}

/** Files that are there already and right are left alone, so that an unfinished run keeps its data. */
export async function writeDemoData(folder: string): Promise<DemoData> {
  await mkdir(folder, { recursive: true });
  const pictures = await demoPictures();
  for (const { name, source } of pictures) {
    const stem = join(folder, name.replaceAll(' ', '-'));
    await put(`${stem}.png`, await readFile(source));
    await put(`${stem}.txt`, Buffer.from(`${name}\n`));
  }
  const notice = await readFile(join(notices, 'NOTICE'), 'utf8');
  await put(join(folder, 'NOTICE'), Buffer.from(notice));
  await put(join(folder, 'LICENSE'), await readFile(join(notices, 'LICENSE')));
  return { folder, pictures: pictures.length, notice };
}

async function put(path: string, bytes: Buffer): Promise<void> {
  const there = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (there?.equals(bytes) === true) return;
  const temporary = `${path}.${randomUUID()}.tmp`;
  await writeFile(temporary, bytes);
  await rename(temporary, path);
}
