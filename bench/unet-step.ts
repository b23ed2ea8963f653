/**
 * Seconds of one training step of the demo's U-Net (forward, backward, clipping, AdamW, running average)
 * beside PyTorch + diffusers with the same configuration, batch and threads. The two take turns, and the
 * medians of each turn's least disturbed steps are compared: this machine may be shared.
 */
import { join } from 'node:path';
import { execa } from 'execa';
import { buildNative } from '../native/build.ts';
import { readOptions } from './tools/options.ts';
import type { BenchResult } from './tools/result.ts';
import { venv } from './tools/venv.ts';

interface Measured {
  /** the fastest step of the turn */
  seconds: number;
  seconds_median: number;
  cpu_seconds: number;
}

export async function run(args: string[]): Promise<BenchResult[]> {
  const options = readOptions('npm run bench -- unet-step', args, {
    threads: [1, 2],
    steps: 12,
    rounds: 4,
  });
  const python = await venv('requirements.txt');
  const { path: ours } = await buildNative('unet_step', { log: console.error });
  const peer = join(import.meta.dirname, 'peers', 'unet_step.py');
  const results: BenchResult[] = [];
  for (const threads of options.threads) {
    const turns: { ours: Measured; peer: Measured }[] = [];
    for (let round = 0; round < options.rounds; round += 1) {
      turns.push({
        ours: await measure(ours, [threads, options.steps].map(String)),
        peer: await measure(python, [peer, threads, options.steps].map(String)),
      });
    }
    results.push(compare(threads, turns));
  }
  return results;
}

async function measure(program: string, args: string[]): Promise<Measured> {
  const { stdout } = await execa(program, args, { stderr: 'ignore' });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Measured;
}

function compare(
  threads: number,
  turns: readonly { ours: Measured; peer: Measured }[],
): BenchResult {
  const of = (who: 'ours' | 'peer', key: keyof Measured) =>
    median(turns.map((turn) => turn[who][key]));
  const ms = (name: string, seconds: number, note = '') => ({
    name,
    value: seconds * 1000,
    unit: 'ms',
    note,
  });
  return {
    bench: `unet-step, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    ours: of('ours', 'seconds'),
    peer: of('peer', 'seconds'),
    unit: 's/step',
    better: 'less',
    goal: { ratio: 1.5 },
    figures: [
      ms('ours', of('ours', 'seconds'), 'wall clock, fastest step of a turn, median of turns'),
      ms('PyTorch + diffusers', of('peer', 'seconds'), 'the same'),
      ms('ours, median step', of('ours', 'seconds_median')),
      ms('PyTorch + diffusers, median step', of('peer', 'seconds_median')),
      ms('ours, CPU time', of('ours', 'cpu_seconds')),
      ms('PyTorch + diffusers, CPU time', of('peer', 'cpu_seconds')),
    ],
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
