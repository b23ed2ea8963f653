/**
 * What the demo's model has learned after its last epoch, and how long that took, beside the same model
 * in PyTorch + diffusers: the same pictures, captions, held-out set, prompts, steps and threads, and the
 * same random numbers, from the first weights to the last step's noise. Ours runs as a user has it, under
 * `tiller up`; both validate and sample after every epoch. What is left between the two is rounding, which
 * grows from step to step.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildNative } from '../native/build.ts';
import { type Changes, inPyTorch, type Learned, underTiller } from './tools/demo-training.ts';
import { readOptions } from './tools/options.ts';
import type { BenchResult, Figure } from './tools/result.ts';
import { venv } from './tools/venv.ts';

interface Turn {
  seed: number;
  ours: Learned;
  peer: Learned;
  /** samples that were judged */
  samples: number;
}

export async function run(args: string[]): Promise<BenchResult[]> {
  const { seeds, ...given } = readOptions('npm run bench -- quality', args, {
    epochs: 13,
    steps: 150,
    threads: 2,
    seeds: [42],
  });
  const folder = await mkdtemp(join(tmpdir(), 'tiller-quality-'));
  try {
    const python = await venv('requirements.txt');
    const { path: trainer } = await buildNative('tiller-diffusion', { log: console.error });
    const turns: Turn[] = [];
    for (const seed of seeds) {
      const place = join(folder, String(seed));
      turns.push(await oneTurn(place, { trainer, python }, { ...given, seed }));
    }
    return compare(turns, given);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function oneTurn(
  folder: string,
  { trainer, python }: { trainer: string; python: string },
  changes: Changes,
): Promise<Turn> {
  const { job, pictures, samples, ...ours } = await underTiller(folder, trainer, changes);
  const peer = await inPyTorch(python, join(folder, 'peer'), job, pictures);
  return { seed: changes.seed, ours, peer, samples };
}

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);

function compare(
  turns: readonly Turn[],
  { epochs, threads }: Omit<Changes, 'seed'>,
): BenchResult[] {
  const mean = (who: 'ours' | 'peer', of: (learned: Learned) => number): number =>
    sum(turns.map((turn) => of(turn[who]))) / turns.length;
  const both = (of: (learned: Learned) => number) => ({
    ours: mean('ours', of),
    peer: mean('peer', of),
  });
  const bySeed = (unit: string, of: (learned: Learned) => number): Figure[] =>
    turns.flatMap(({ seed, ours, peer }) => [
      { name: `ours, seed ${seed}`, value: of(ours), unit },
      { name: `PyTorch + diffusers, seed ${seed}`, value: of(peer), unit },
    ]);
  const heldOut = (epoch: number) => (learned: Learned) => learned.validation[epoch - 1]!;
  const curves = Array.from({ length: epochs }, (_, before): Figure[] => {
    const { ours, peer } = both(heldOut(before + 1));
    return [
      { name: `ours, epoch ${before + 1}`, value: ours, unit: '' },
      { name: `PyTorch + diffusers, epoch ${before + 1}`, value: peer, unit: '' },
    ];
  }).flat();
  const loss = {
    unit: `mean squared error of v after ${epochs} epochs`,
    better: 'less',
    goal: { ratio: 0.98 },
  } as const;
  return [
    {
      bench: 'quality, loss of the training pictures',
      ...both(({ train }) => train),
      ...loss,
      figures: bySeed('', ({ train }) => train),
    },
    {
      bench: 'quality, loss of the held-out pictures',
      ...both(heldOut(epochs)),
      ...loss,
      figures: [...bySeed('', heldOut(epochs)), ...curves],
    },
    {
      bench: 'quality, prompted pictures',
      ...both(({ hits }) => hits),
      unit: `of ${turns[0]!.samples} samples are nearest to the prompted picture`,
      better: 'more',
      goal: { ratio: 0.95 },
      figures: bySeed('', ({ hits }) => hits),
    },
    {
      bench: `quality, time, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      ...both(({ seconds }) => seconds),
      unit: `s for ${epochs} epochs with validation and samples`,
      better: 'less',
      goal: { ratio: 1.5 },
      figures: bySeed('s', ({ seconds }) => seconds),
    },
  ];
}
