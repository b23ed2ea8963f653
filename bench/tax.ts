/**
 * What it costs a trainer to be Tiller's: steps a second of the same job under `tiller up` (engine,
 * worker and dashboard running, every step taken into the record) and of the bare trainer with nothing
 * beside it. The two take turns; both are timed from the process's start to its end.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRecord } from '../db/connection.ts';
import { homePaths } from '../db/home.ts';
import type { LaunchRow } from '../db/launches.ts';
import { buildNative } from '../native/build.ts';
import type { Job } from '../native/protocol.ts';
import { startChaosRun, writePictures } from '../test/chaos/job.ts';
import { startUp } from '../test/chaos/up.ts';
import { untilEnded } from '../test/chaos/wait.ts';
import { runBare } from './tools/bare.ts';
import { readOptions } from './tools/options.ts';
import type { BenchResult } from './tools/result.ts';

interface Turn {
  tiller: number;
  bare: number;
}

export async function run(args: string[]): Promise<BenchResult[]> {
  const { steps, rounds } = readOptions('npm run bench -- tax', args, { steps: 200, rounds: 5 });
  const folder = await mkdtemp(join(tmpdir(), 'tiller-tax-'));
  try {
    const { path: trainer } = await buildNative('tiller-diffusion', { log: console.error });
    const recipe = demoSized(await writePictures(join(folder, 'pictures')), steps);
    const turns: Turn[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      const { job, seconds } = await underTiller(join(folder, `home-${round}`), recipe);
      const { seconds: bare } = await runBare(trainer, job, join(folder, `bare-${round}`));
      turns.push({ tiller: steps / seconds, bare: steps / bare });
      console.error(
        `round ${round}: ${(steps / seconds).toFixed(3)} steps/s under Tiller, ${(steps / bare).toFixed(3)} alone`,
      );
    }
    return [compare(turns)];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The demo's model and batch, on one thread, so that it is the trainer that is measured. */
const demoSized = (pictures: string, steps: number): string => `
device: cpu
threads: 1
data: { folder: ${JSON.stringify(pictures)}, resolution: 32, validation_share: 0.1 }
train: { epochs: 1, steps_per_epoch: ${steps}, batch: 16 }
samples: { prompts: [red circle], steps: 2 }
validation: { bins: 1 }
checkpoints: { every_seconds: 20 }
`;

/** One run of one epoch. @returns the very job that its trainer was given, and how long that took */
async function underTiller(home: string, recipe: string): Promise<{ job: Job; seconds: number }> {
  const env = { ...process.env, TILLER_HOME: home };
  const up = await startUp(home, env);
  await up.ready();
  const db = openRecord(homePaths(home).record);
  try {
    const id = await startChaosRun(db, env, 'tax', recipe);
    await untilEnded(db, id);
    const launch = db.raw
      .prepare<[string], LaunchRow>(`SELECT * FROM launch WHERE run = ? AND stage = 'train'`)
      .get(id);
    if (launch?.ended_at == null) throw new Error('the run has no launch that ended');
    const job = JSON.parse(await readFile(join(launch.folder, 'job.json'), 'utf8')) as Job;
    return { job, seconds: (launch.ended_at - launch.started_at) / 1000 };
  } finally {
    db.close();
    await up.stop();
  }
}

function compare(turns: readonly Turn[]): BenchResult {
  const best = (who: keyof Turn) => Math.max(...turns.map((turn) => turn[who]));
  const ratios = turns.map(({ tiller, bare }) => tiller / bare).toSorted((a, b) => a - b);
  return {
    bench: 'tax',
    ours: best('tiller'),
    peer: best('bare'),
    unit: 'steps/s',
    better: 'more',
    goal: { ratio: 0.99 },
    figures: [
      {
        name: 'under Tiller',
        value: best('tiller'),
        unit: 'steps/s',
        note: 'the best of the rounds',
      },
      {
        name: 'bare trainer',
        value: best('bare'),
        unit: 'steps/s',
        note: 'the best of the rounds',
      },
      {
        name: 'ratio, median of rounds',
        value: ratios[Math.floor(ratios.length / 2)] ?? Number.NaN,
        unit: '×',
      },
      { name: 'ratio, worst round', value: ratios[0] ?? Number.NaN, unit: '×' },
      { name: 'ratio, best round', value: ratios.at(-1) ?? Number.NaN, unit: '×' },
    ],
  };
}
