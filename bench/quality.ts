/**
 * What the demo's model has learned after its last epoch, and how long that took, beside the same model
 * in PyTorch + diffusers: the same pictures, captions, held-out set, prompts, steps and threads, measured
 * with the same noise. Ours runs as a user has it, under `tiller up`; both validate and sample after every
 * epoch.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import sharp from 'sharp';
import { parse, stringify } from 'yaml';
import { writeDemoData } from '../cli/demo-data.ts';
import { openRecord, type Db } from '../db/connection.ts';
import { judgedEvaluation } from '../db/evaluations.ts';
import { artifactPath, homePaths } from '../db/home.ts';
import type { LaunchRow } from '../db/launches.ts';
import { listSamples, promptsOf } from '../db/samples.ts';
import { buildNative } from '../native/build.ts';
import type { Job, TrainerEvent } from '../native/protocol.ts';
import type { Recipe } from '../recipes/schema.ts';
import { startChaosRun } from '../test/chaos/job.ts';
import { startUp } from '../test/chaos/up.ts';
import { untilEnded } from '../test/chaos/wait.ts';
import { runBare } from './tools/bare.ts';
import { countHits, readPictures, type Picture } from './tools/nearest.ts';
import type { BenchResult } from './tools/result.ts';
import { venv } from './tools/venv.ts';

const RECIPE = resolve(import.meta.dirname, '../recipes/examples/demo.yaml');
/** Each of the demo's prompts with each of these: one picture a prompt is luck. */
const SEEDS = [7, 8, 9, 10];

interface Learned {
  /** loss of the held-out pictures, by epoch from 1 */
  validation: number[];
  /** loss of the training pictures after the last epoch, measured in the same way */
  train: number;
  /** pictures of the last epoch whose nearest picture of the data set is the prompted one */
  hits: number;
  /** from the first step to the last epoch's samples */
  seconds: number;
}

interface Options {
  epochs: string;
  steps: string;
  threads: string;
}

export async function run(args: string[]): Promise<BenchResult[]> {
  const { values } = parseArgs({
    args,
    options: {
      epochs: { type: 'string', default: '13' },
      steps: { type: 'string', default: '150' },
      threads: { type: 'string', default: '2' },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'tiller-quality-'));
  try {
    const python = await venv('requirements.txt');
    const { path: trainer } = await buildNative('tiller-diffusion', { log: console.error });
    const { job, pictures, ...learned } = await underTiller(folder, values);
    const ours = { ...learned, train: await trainingLoss(trainer, job, join(folder, 'train')) };
    const peer = await inPyTorch(python, join(folder, 'peer'), job, pictures);
    return compare(ours, peer, job);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function underTiller(
  folder: string,
  { epochs, steps, threads }: Options,
): Promise<Omit<Learned, 'train'> & { job: Job; pictures: Picture[] }> {
  const home = join(folder, 'home');
  const env = { ...process.env, TILLER_HOME: home };
  const recipe = await demoRecipe(join(folder, 'pictures'), { epochs, steps, threads });
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
        { length: Number(epochs) },
        (_, before) => judgedEvaluation(db, id, before + 1)!.loss,
      ),
      hits: countHits(await lastSamples(db, home, id, Number(epochs)), pictures),
      seconds: (last.ended_at! - launches[0]!.started_at) / 1000,
    };
  } finally {
    db.close();
    await up.stop();
  }
}

/** The demo's own recipe, with more pictures a prompt to judge it by. */
async function demoRecipe(pictures: string, { epochs, steps, threads }: Options): Promise<string> {
  await writeDemoData(pictures);
  const recipe = parse(await readFile(RECIPE, 'utf8')) as Record<string, Record<string, unknown>>;
  const prompts = recipe['samples']!['prompts'] as string[];
  return stringify({
    ...recipe,
    threads: Number(threads),
    data: { ...recipe['data'], folder: pictures },
    train: { ...recipe['train'], epochs: Number(epochs), steps_per_epoch: Number(steps) },
    samples: {
      ...recipe['samples'],
      prompts: SEEDS.flatMap((seed) => prompts.map((text) => ({ text, seed }))),
    },
  });
}

async function lastSamples(db: Db, home: string, run: string, epoch: number): Promise<Picture[]> {
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
  const { manifest } = job.data!;
  const set = JSON.parse(await readFile(manifest, 'utf8')) as Record<string, unknown>;
  const recipe = job.recipe as Recipe;
  const data = { manifest: join(folder, 'manifest.json') };
  await mkdir(folder);
  await writeFile(
    data.manifest,
    JSON.stringify({
      ...set,
      pixels: join(dirname(manifest), String(set['pixels'])),
      validation: set['train'],
    }),
  );
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
async function inPyTorch(
  python: string,
  folder: string,
  job: Job,
  pictures: readonly Picture[],
): Promise<Learned> {
  await mkdir(folder);
  await writeFile(join(folder, 'job.json'), JSON.stringify(job));
  const script = join(import.meta.dirname, 'peers', 'quality.py');
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

function compare(ours: Learned, peer: Learned, job: Job): BenchResult[] {
  const { train, samples } = job.recipe as Recipe;
  const { epochs } = train;
  const { threads } = job;
  const prompts = samples.prompts.length;
  const curve = (name: string, { validation }: Learned) =>
    validation.map((value, before) => ({ name: `${name}, epoch ${before + 1}`, value, unit: '' }));
  return [
    {
      bench: 'quality, loss of the training pictures',
      ours: ours.train,
      peer: peer.train,
      unit: `mean squared error of v after ${epochs} epochs`,
      better: 'less',
      goal: { ratio: 1 },
      figures: [
        { name: 'ours', value: ours.train, unit: '' },
        { name: 'PyTorch + diffusers', value: peer.train, unit: '' },
      ],
    },
    {
      bench: 'quality, loss of the held-out pictures',
      ours: ours.validation.at(-1)!,
      peer: peer.validation.at(-1)!,
      unit: `mean squared error of v after ${epochs} epochs`,
      better: 'less',
      goal: { ratio: 1 },
      figures: [...curve('ours', ours), ...curve('PyTorch + diffusers', peer)],
    },
    {
      bench: 'quality, prompted pictures',
      ours: ours.hits,
      peer: peer.hits,
      unit: `of ${prompts} samples are nearest to the prompted picture`,
      better: 'more',
      goal: { ratio: 1 },
      figures: [
        { name: 'ours', value: ours.hits, unit: `of ${prompts}` },
        { name: 'PyTorch + diffusers', value: peer.hits, unit: `of ${prompts}` },
      ],
    },
    {
      bench: `quality, time, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      ours: ours.seconds,
      peer: peer.seconds,
      unit: `s for ${epochs} epochs with validation and samples`,
      better: 'less',
      goal: { ratio: 1 },
      figures: [
        { name: 'ours, under tiller up', value: ours.seconds, unit: 's' },
        { name: 'PyTorch + diffusers', value: peer.seconds, unit: 's' },
      ],
    },
  ];
}
