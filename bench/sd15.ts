/**
 * Seconds and memory of one training step of Stable Diffusion 1.5 at its full size, batch 1, F32: a LoRA of
 * rank 16, and a full fine-tune; each with and without gradient checkpointing, and the full one with a fused
 * backward pass, beside PyTorch + diffusers + peft. Weights are random and nothing is downloaded. All take turns, each in a process of its own, whose
 * peak memory is the system's count. PyTorch has two memory layouts: it is given the faster one for its
 * time, and the smaller one for its memory.
 */
import { join } from 'node:path';
import { execa } from 'execa';
import { buildNative } from '../native/build.ts';
import { readOptions } from './tools/options.ts';
import type { BenchResult, Figure } from './tools/result.ts';
import { venv } from './tools/venv.ts';

/** What native/bench/sd15_step.cpp and bench/peers/sd15_step.py print. */
interface Measured {
  /** the fastest step of the turn */
  seconds: number;
  cpu_seconds: number;
  peak_gib: number;
  /** numbers that are trained */
  trained: number;
}

const MODES = ['lora', 'full'];
const TITLES: Readonly<Record<string, string>> = { lora: 'LoRA rank 16', full: 'full fine-tune' };

interface Way {
  title: string;
  ours: string[];
  peer: string[];
}
const WAYS: readonly Way[] = [
  { title: '', ours: [], peer: [] },
  { title: ', checkpointing', ours: ['checkpointing'], peer: ['checkpointing'] },
];
/** Without clipping a step may keep no gradients. PyTorch does so with hooks that one writes oneself. */
const FUSED: readonly Way[] = [
  { title: ', no clipping, fused backward', ours: ['fused'], peer: ['unclipped'] },
  { title: ', no clipping, fused backward and hooks', ours: ['fused'], peer: ['fused'] },
];
const LAYOUTS = ['default', 'channels_last'] as const;

interface Turn {
  ours: Measured;
  peers: readonly Measured[];
}

export async function run(args: string[]): Promise<BenchResult[]> {
  const options = readOptions('npm run bench -- sd15', args, {
    mode: MODES,
    /** of each mode, or one of both */
    pixels: [512, 256],
    threads: 2,
    steps: 2,
    rounds: 1,
  });
  const [first, second = first, ...surplus] = options.pixels;
  if (surplus.length > 0) {
    console.error('error: --pixels is one number, or two: of the LoRA and of the full fine-tune.');
    process.exit(2);
  }
  const pixels: Readonly<Record<string, number | undefined>> = { lora: first, full: second };
  const python = await venv('requirements.txt');
  const { path: ours } = await buildNative('sd15_step', { log: console.error });
  const peer = join(import.meta.dirname, 'peers', 'sd15_step.py');
  const results: BenchResult[] = [];
  for (const mode of options.mode) {
    for (const way of mode === 'full' ? [...WAYS, ...FUSED] : WAYS) {
      const job = [mode, ...[pixels[mode], options.threads, options.steps].map(String)];
      const turns: Turn[] = [];
      for (let round = 0; round < options.rounds; round += 1) {
        const turn = { ours: await measure(ours, [...job, ...way.ours]), peers: [] as Measured[] };
        for (const layout of LAYOUTS)
          turn.peers.push(await measure(python, [peer, ...job, layout, ...way.peer]));
        turns.push(turn);
      }
      const title = `sd15, ${TITLES[mode]}, ${pixels[mode]} px${way.title}`;
      results.push(...compare(title, turns));
    }
  }
  return results;
}

async function measure(program: string, args: string[]): Promise<Measured> {
  console.error([program, ...args].map((word) => word.split('/').at(-1)).join(' '));
  const { stdout } = await execa(program, args);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Measured;
}

function compare(title: string, turns: readonly Turn[]): BenchResult[] {
  for (const { ours, peers } of turns)
    for (const { trained } of peers)
      if (trained !== ours.trained && !isPadded(ours.trained, trained))
        throw new Error(`${title}: ours trains ${ours.trained} numbers, the peer ${trained}`);
  const ours = (key: keyof Measured) => median(turns.map((turn) => turn.ours[key]));
  const peer = (key: keyof Measured, layout: number) =>
    median(turns.map(({ peers }) => peers[layout]![key]));
  const rows = (key: keyof Measured, unit: string, note: string): Figure[] => [
    { name: 'ours', value: ours(key), unit, note },
    ...LAYOUTS.map((layout, index) => ({
      name: `PyTorch, ${layout === 'default' ? 'channels first' : 'channels last'}`,
      value: peer(key, index),
      unit,
    })),
  ];
  const best = (key: keyof Measured) => Math.min(...LAYOUTS.map((_, index) => peer(key, index)));
  return [
    {
      bench: title,
      ours: ours('seconds'),
      peer: best('seconds'),
      unit: 's/step',
      better: 'less',
      figures: [
        ...rows('seconds', 's', 'wall clock, fastest step of a turn, median of turns'),
        ...rows('cpu_seconds', 's of CPU', 'all threads'),
      ],
    },
    {
      bench: `${title}: memory`,
      ours: ours('peak_gib'),
      peer: best('peak_gib'),
      unit: 'GiB at most',
      better: 'less',
      figures: rows('peak_gib', 'GiB', 'resident, of the whole process'),
    },
  ];
}

/** Ours counts its buffers, whose blocks are rounded up. */
const isPadded = (ours: number, theirs: number): boolean => ours > theirs && ours < theirs * 1.02;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
