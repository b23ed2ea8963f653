/**
 * `npm run experiment:lora`: whether fine-tuning learns. The demo's model, exported and read back as a
 * base, is given a LoRA on twenty clock faces, which it never saw. What it makes of "clock" before and
 * after, and whether it still knows what it knew, is judged by the nearest picture of all.
 *
 * `--base-home FOLDER` takes a finished demo there instead of training one (some 8 minutes).
 */
import { copyFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { execa } from 'execa';
import sharp from 'sharp';
import { parse, stringify } from 'yaml';
import { demoPictures, writeDemoData } from '../../cli/demo-data.ts';
import { openRecord, type Db } from '../../db/connection.ts';
import { judgedEvaluation } from '../../db/evaluations.ts';
import { eventsAfter } from '../../db/events.ts';
import { artifactPath, homePaths } from '../../db/home.ts';
import { promptsOf } from '../../db/prompts.ts';
import { listRuns } from '../../db/runs.ts';
import { listSamples } from '../../db/samples.ts';
import { nearest, type Picture } from '../tools/nearest.ts';

const require = createRequire(import.meta.url);
const front = resolve(import.meta.dirname, '../../cli/tiller.ts');
const demo = resolve(import.meta.dirname, '../../recipes/examples/demo.yaml');

const CONCEPT = 'clock';
const CLOCKS = 20;
const KNOWN = ['red heart', 'sunflower', 'star', 'panda'];
const SIDE = 32;

const command = new Command('npm run experiment:lora --')
  .option('--base-home <folder>', 'a home with a finished demo')
  .option('--epochs <n>', 'of the LoRA', '6')
  .option('--steps <n>', 'an epoch', '60');
const given = command
  .parse(process.argv)
  .opts<{ baseHome?: string; epochs: string; steps: string }>();

const folder = await mkdtemp(join(tmpdir(), 'tiller-lora-'));
const home = given.baseHome ?? join(folder, 'home');
const env = { ...process.env, TILLER_HOME: home };
const tiller = (...args: string[]) =>
  execa(process.execPath, [front, ...args], { env, stdio: ['ignore', 'inherit', 'inherit'] });

if (given.baseHome === undefined) await tiller('demo', '--exit');
const base = exportedBase();
console.log(`base      ${base}`);
const clocks = await writeClocks(join(folder, CONCEPT));
const { folder: known } = await writeDemoData(join(folder, 'known'));
const recipe = join(folder, 'clocks.yaml');
await writeFile(recipe, await loraRecipe(base, clocks, known, await beginnings()));
await tiller('train', recipe);
await tiller('down');
await report();

/** What the demo's run exported at its end, with the running average of its weights. */
function exportedBase(): string {
  const db = openRecord(homePaths(home).record);
  try {
    const run = listRuns(db).find(
      ({ name, state }) => name.startsWith('emoji') && state === 'done',
    );
    const exported =
      run === undefined ? [] : eventsAfter(db, 0, run.id).filter(({ kind }) => kind === 'export');
    const path = exported
      .map(({ message }) => message)
      .findLast((file) => file.endsWith('-ema.safetensors'));
    if (path === undefined) throw new Error(`${home} has no finished demo that was exported`);
    return path;
  } finally {
    db.close();
  }
}

async function writeClocks(target: string): Promise<string> {
  const index = require.resolve('emoji-datasource-google/emoji.json');
  const emoji = JSON.parse(await readFile(index, 'utf8')) as {
    image: string;
    subcategory: string;
    short_name: string;
    sort_order: number;
  }[];
  const faces = emoji
    .filter(({ subcategory, short_name: name }) => subcategory === 'time' && /^clock\d/.test(name))
    .sort((a, b) => a.sort_order - b.sort_order)
    .slice(0, CLOCKS);
  await mkdir(target, { recursive: true });
  for (const { image, short_name: name } of faces) {
    await copyFile(join(dirname(index), 'img/google/64', image), join(target, `${name}.png`));
    await writeFile(join(target, `${name}.txt`), CONCEPT);
  }
  return target;
}

/** Prompts that begin from a picture: one half of a known one made anew, and a canvas around it. */
async function beginnings(): Promise<object[]> {
  const [picture, mask] = ['sunflower.png', 'right-half.png'].map((name) => join(folder, name));
  const { source } = (await demoPictures()).find(({ name }) => name === 'sunflower')!;
  await sharp(source).flatten({ background: '#fff' }).resize(SIDE, SIDE).toFile(picture!);
  const half = { width: SIDE / 2, height: SIDE, channels: 3 as const, background: '#fff' };
  await sharp({ create: half })
    .extend({ left: SIDE / 2, background: '#000' })
    .toFile(mask!);
  const outpaint = { left: SIDE / 2, right: SIDE / 2, overlap: 4 };
  return [
    { text: CONCEPT, picture, mask },
    { text: 'panda', picture, mask },
    { text: CONCEPT, picture, outpaint },
  ];
}

async function loraRecipe(
  from: string,
  pictures: string,
  known: string,
  begun: readonly object[],
): Promise<string> {
  const { model, data } = parse(await readFile(demo, 'utf8')) as Record<string, object>;
  const seeds = [7, 8, 9, 10];
  return stringify({
    name: 'clocks',
    base: from,
    model,
    lora: { rank: 8, alpha: 8, conv_rank: 4, conv_alpha: 4 },
    // What the base was made with comes along, or it would be forgotten for the clocks.
    data: {
      ...data,
      folder: pictures,
      repeats: 20,
      regularisation_folder: known,
      validation_share: 0.15,
    },
    train: {
      epochs: Number(given.epochs),
      steps_per_epoch: Number(given.steps),
      batch: 8,
      learning_rate: 0.001,
      warmup_steps: 20,
      ema: 0.98,
    },
    samples: {
      guidance: 3,
      prompts: [
        ...begun,
        ...[CONCEPT, ...KNOWN].flatMap((text) => seeds.map((seed) => ({ text, seed }))),
      ],
    },
  });
}

/** Every picture that the base or the LoRA was trained on, as the model sees it. */
async function allPictures(): Promise<Picture[]> {
  const files = (await demoPictures()).map(({ name, source }) => ({ caption: name, path: source }));
  const index = dirname(require.resolve('emoji-datasource-google/emoji.json'));
  const emoji = JSON.parse(await readFile(join(index, 'emoji.json'), 'utf8')) as {
    image: string;
    short_name: string;
  }[];
  const faces = emoji
    .filter(({ short_name: name }) => /^clock\d/.test(name))
    .map(({ image }) => ({ caption: CONCEPT, path: join(index, 'img/google/64', image) }));
  return Promise.all(
    [...files, ...faces].map(async ({ caption, path }) => ({
      caption,
      rgb: await sharp(path)
        .flatten({ background: '#fff' })
        .resize(SIDE, SIDE)
        .toColourspace('srgb')
        .removeAlpha()
        .raw()
        .toBuffer(),
    })),
  );
}

async function report(): Promise<void> {
  const db = openRecord(homePaths(home).record);
  const run = listRuns(db).find(({ name }) => name.startsWith('clocks'))!;
  const pictures = await allPictures();
  const rows = [];
  for (let epoch = 0; epoch <= run.epochs; epoch++) {
    const hits = await hitsOf(db, run.id, epoch, pictures);
    rows.push({ epoch, loss: judgedEvaluation(db, run.id, epoch)!.loss, ...hits });
  }
  db.close();
  console.log('epoch   held-out clocks   "clock" shows a clock   the known show themselves');
  for (const { epoch, loss, concept, known } of rows) {
    console.log(
      `${String(epoch).padStart(5)}   ${loss.toFixed(4).padStart(15)}   ${`${concept} of 4`.padStart(21)}   ${`${known} of ${4 * KNOWN.length}`.padStart(25)}`,
    );
  }
  const [before, after] = [rows[0]!, rows.at(-1)!];
  console.log(`the grid of all epochs: \`TILLER_HOME=${home} tiller up\`, run ${run.name}`);
  console.log(JSON.stringify({ experiment: 'lora', before, after }));
  process.exitCode = after.concept > before.concept && after.loss < before.loss ? 0 : 1;
}

async function hitsOf(db: Db, run: string, epoch: number, pictures: Picture[]) {
  // Those that begin from a picture are for the eye.
  const texts = new Map(
    promptsOf(db, run).flatMap(({ id, text, extra }) => (extra === null ? [[id, text]] : [])),
  );
  let [concept, known] = [0, 0];
  for (const sample of listSamples(db, run).filter((one) => one.epoch === epoch)) {
    const caption = texts.get(sample.prompt);
    if (caption === undefined) continue;
    const rgb = await sharp(artifactPath(home, sample.artifact)).removeAlpha().raw().toBuffer();
    const hit = Number(nearest(rgb, pictures).caption === caption);
    if (caption === CONCEPT) concept += hit;
    else known += hit;
  }
  return { concept, known };
}
