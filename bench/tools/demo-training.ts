/** The demo's model trained twice on the same prepared data: under `tiller up`, and in PyTorch + diffusers. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { execa } from 'execa';
import sharp from 'sharp';
import { parse, stringify } from 'yaml';
import { writeDemoData } from '../../cli/demo-data.ts';
import { openRecord, type Db } from '../../db/connection.ts';
import { judgedEvaluation } from '../../db/evaluations.ts';
import { artifactPath, homePaths } from '../../db/home.ts';
import type { LaunchRow } from '../../db/launches.ts';
import { promptsOf } from '../../db/prompts.ts';
import { listSamples } from '../../db/samples.ts';
import type { Job, TrainerEvent } from '../../native/protocol.ts';
import type { Recipe } from '../../recipes/schema.ts';
import { startChaosRun } from '../../test/chaos/job.ts';
import { startUp } from '../../test/chaos/up.ts';
import { untilEnded } from '../../test/chaos/wait.ts';
import { runBare } from './bare.ts';
import { countHits, readPictures, type Picture } from './nearest.ts';

const RECIPE = resolve(import.meta.dirname, '../../recipes/examples/demo.yaml');
/** Each of the demo's prompts with each of these: one picture a prompt is luck. */
const SAMPLE_SEEDS = [7, 8, 9, 10];

export interface Learned {
  /** loss of the held-out pictures, by epoch from 1 */
  validation: number[];
  /** loss of the training pictures after the last epoch, measured in the same way */
  train: number;
  /** samples of the last epoch whose nearest picture of the data set is the prompted one */
  hits: number;
  /** from the first trainer's start to the last epoch's samples */
  seconds: number;
}

/** What is changed in the demo's recipe. */
export interface Changes {
  epochs: number;
  steps: number;
  threads: number;
  seed: number;
}

/** @returns also the job of the last epoch, which says what the peer is to do */
export async function underTiller(
  folder: string,
  trainer: string,
  changes: Changes,
): Promise<Learned & { job: Job; pictures: Picture[]; samples: number }> {
  const home = join(folder, 'home');
  const env = { ...process.env, TILLER_HOME: home };
  const { epochs } = changes;
  const recipe = await demoRecipe(join(folder, 'pictures'), changes);
  const up = await startUp(home, env);
  await up.ready();
  const db = openRecord(homePaths(home).record);
  try {
    const id = await startChaosRun(db, env, 'quality', recipe);
    await untilEnded(db, id);
    const launches = db.raw
      .prepare<[string], LaunchRow>('SELECT * FROM launch WHERE run = ? AND epoch > 0 ORDER BY id')
      .all(id);
    const last = launches.at(-1)!;
    const job = JSON.parse(await readFile(join(last.folder, 'job.json'), 'utf8')) as Job;
    const pictures = await readPictures(job.data!.manifest);
    return {
      job,
      pictures,
      validation: Array.from(
        { length: epochs },
        (_, before) => judgedEvaluation(db, id, before + 1)!.loss,
      ),
      samples: (job.recipe as Recipe).samples.prompts.length,
      train: await trainingLoss(trainer, job, join(folder, 'train')),
      hits: countHits(await samplesOf(db, home, id, epochs), pictures),
      seconds: (last.ended_at! - launches[0]!.started_at) / 1000,
    };
  } finally {
    db.close();
    await up.stop();
  }
}

/** The demo's own recipe, with more pictures a prompt to judge it by. */
async function demoRecipe(
  pictures: string,
  { epochs, steps, threads, seed }: Changes,
): Promise<string> {
  await writeDemoData(pictures);
  const recipe = parse(await readFile(RECIPE, 'utf8')) as Record<string, Record<string, unknown>>;
  const prompts = recipe['samples']!['prompts'] as string[];
  return stringify({
    ...recipe,
    threads,
    seed,
    data: { ...recipe['data'], folder: pictures },
    train: { ...recipe['train'], epochs, steps_per_epoch: steps },
    samples: {
      ...recipe['samples'],
      prompts: SAMPLE_SEEDS.flatMap((of) => prompts.map((text) => ({ text, seed: of }))),
    },
  });
}

async function samplesOf(db: Db, home: string, run: string, epoch: number): Promise<Picture[]> {
  const texts = new Map(promptsOf(db, run).map(({ id, text }) => [id, text]));
  const samples = listSamples(db, run).filter((sample) => sample.epoch === epoch);
  return Promise.all(
    samples.map(async ({ prompt, artifact }) => ({
      caption: texts.get(prompt)!,
      rgb: await sharp(artifactPath(home, artifact)).removeAlpha().raw().toBuffer(),
    })),
  );
}

/** The last epoch's evaluation again, as if the training pictures were the held-out ones. */
async function trainingLoss(trainer: string, job: Job, folder: string): Promise<number> {
  const prepared = job.data!.manifest;
  const manifest = JSON.parse(await readFile(prepared, 'utf8')) as Record<string, unknown>;
  const pixels = String(manifest['pixels']);
  const recipe = job.recipe as Recipe;
  const data = { manifest: join(folder, 'manifest.json') };
  await mkdir(folder);
  await copyFile(join(dirname(prepared), pixels), join(folder, pixels));
  await writeFile(data.manifest, JSON.stringify({ ...manifest, validation: manifest['train'] }));
  const { spool } = await runBare(
    trainer,
    { ...job, data, recipe: { ...recipe, samples: { ...recipe.samples, prompts: [] } } },
    join(folder, 'job'),
  );
  const events = spool
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as TrainerEvent);
  const said = events.find((event) => event.event === 'validation');
  if (said === undefined) throw new Error(`the trainer measured nothing: ${spool}`);
  return said.loss;
}

/** @param job of the last epoch: recipe, seed, threads and data set are taken from it */
export async function inPyTorch(
  python: string,
  folder: string,
  job: Job,
  pictures: readonly Picture[],
): Promise<Learned> {
  await mkdir(folder);
  await writeFile(join(folder, 'job.json'), JSON.stringify(job));
  const script = join(import.meta.dirname, '..', 'peers', 'quality.py');
  const { stdout } = await execa(python, [script, join(folder, 'job.json'), folder], {
    env: { OMP_NUM_THREADS: String(job.threads) },
    stderr: 'inherit',
  });
  const { epochs, train } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as {
    epochs: { validation: number; seconds: number }[];
    train: number;
  };
  const bytes = await readFile(join(folder, `epoch-${epochs.length}.u8`));
  const size = pictures[0]!.rgb.length;
  const { prompts } = (job.recipe as Recipe).samples;
  const samples = prompts.map(({ text }, index) => ({
    caption: text,
    rgb: bytes.subarray(index * size, (index + 1) * size),
  }));
  return {
    validation: epochs.map(({ validation }) => validation),
    train,
    hits: countHits(samples, pictures),
    seconds: epochs.at(-1)!.seconds,
  };
}
