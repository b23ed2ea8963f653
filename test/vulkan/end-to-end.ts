/**
 * Whole jobs of tiller-diffusion, on our CPU kernels and on Vulkan from the same start: twenty steps, then
 * validation and samples of what came of them; and a run on Vulkan that is killed and goes on.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { bestOf, listDevices } from '../../cli/devices.ts';
import { buildNative } from '../../native/build.ts';
import type { Job, TrainerEvent } from '../../native/protocol.ts';
import {
  checkpointPath,
  type JobChanges,
  jobFor,
  newRun,
  type Place,
  STEPS,
  writeData,
} from '../native/diffusion/job.ts';
import { launch, of, run } from '../native/diffusion/launch.ts';
import { makeSmallBase, sd1Job, writeShapedData } from '../native/diffusion/small-base.ts';
import type { Check } from '../native/check-lines.ts';
import type { Outcome } from './program.ts';

/** Relative, of each step's loss, of the validation loss. */
const LOSS_LIMIT = 1e-3;
/** Levels of 255, the mean over a sample's numbers. */
const SAMPLE_LIMIT = 1;
/** A killed run is followed so far. */
const KILLED_STEPS = 4;

export interface Training extends Outcome {
  /** The largest relative difference of a step's loss. */
  difference: number;
  nodes: number;
  splits: number;
}

/** On software Vulkan a node costs a millisecond. */
const short = {
  model: { channel_multipliers: [1], attention_levels: [0] },
  train: { batch: 1 },
  samples: { steps: 2 },
  validation: { bins: 2, repeats: 1 },
};
const shortLora = {
  train: { steps_per_epoch: STEPS, accumulation: 1 },
  // Without weights of tokens: an encoder that was never trained has no mean to restore.
  samples: { steps: 2, prompts: [{ text: 'ink, cat', width: 16, height: 24 }, 'a red square'] },
};

interface Kind {
  name: string;
  manifest: (folder: string) => Promise<string>;
  job: (where: Place, changes: JobChanges) => Job;
}

/** A model from the seed, and a LoRA on a Stable Diffusion 1.x base, both tiny. */
export async function endToEnd(
  env: NodeJS.ProcessEnv,
  each: (outcome: Training) => void,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'tiller-vulkan-'));
  try {
    const base = await makeSmallBase(join(root, 'base.safetensors'));
    const kinds: Kind[] = [
      {
        name: 'run_from_seed',
        manifest: writeData,
        job: (where, changes) => jobFor(where, { ...changes, recipe: short }),
      },
      {
        name: 'run_sd1_lora',
        manifest: writeShapedData,
        job: (where, changes) =>
          sd1Job(where, base, { last_step: STEPS, ...changes, recipe: shortLora }),
      },
    ];
    for (const kind of kinds) each(await compare(kind, join(root, kind.name), env));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** `device: auto` takes a GPU, and never the processor as a Vulkan device. */
export async function whatAutoTakes(env: NodeJS.ProcessEnv): Promise<Check> {
  const devices = (await listDevices(env)).filter(({ kind }) => kind === 'vulkan');
  const software = devices.filter(({ description }) => description.startsWith('llvmpipe'));
  const gpus = devices.length - software.length;
  const ok = devices.length > 0 && bestOf(devices).kind === (gpus > 0 ? 'vulkan' : 'cpu');
  return { check: 'device: auto passes over software', error: ok ? 0 : 1, limit: 0, ok };
}

async function compare(
  { name, manifest, job }: Kind,
  root: string,
  env: NodeJS.ProcessEnv,
): Promise<Training> {
  const start = performance.now();
  const { path: trainer } = await buildNative('tiller-diffusion');
  const data = await manifest(join(root, 'data'));
  const checks: Check[] = [];
  const expect = (check: string, error: number, limit: number) =>
    checks.push({ check: `${name}: ${check}`, error, limit, ok: error <= limit });
  const holds = (check: string, ok: boolean) => expect(check, ok ? 0 : 1, 0);

  const onDevice = async (device: string) => {
    const where = await newRun(join(root, device), data);
    const resume = checkpointPath(where, STEPS);
    const first_step = STEPS;
    const jobs = [
      job(where, { device }),
      job(where, { device, stage: 'evaluate', resume, first_step }),
    ];
    const events: TrainerEvent[] = [];
    for (const each of jobs) {
      const { code, events: said, stderr } = await run(trainer, each, env);
      if (code !== 0) throw new Error(`${name} on ${device} ended with ${code}: ${stderr}`);
      events.push(...said);
    }
    return events;
  };
  const ours = await onDevice('cpu');
  const theirs = await onDevice('vulkan');

  const losses = of(ours, 'step').map(({ loss }, i) =>
    relative(of(theirs, 'step')[i]?.loss ?? NaN, loss),
  );
  for (const [i, error] of losses.entries()) expect(`loss of step ${i + 1}`, error, LOSS_LIMIT);
  holds(`${STEPS} steps`, losses.length === STEPS);
  holds('the same pictures in the same order', itemsOf(ours) === itemsOf(theirs));
  const [mine, its] = [ours, theirs].map((events) => of(events, 'validation')[0]?.loss ?? NaN);
  expect('validation loss', relative(its!, mine!), LOSS_LIMIT);
  const samples = of(theirs, 'sample');
  holds('two samples', samples.length === 2);
  for (const [i, { file }] of samples.entries()) {
    const other = of(ours, 'sample')[i];
    const levels = other === undefined ? Infinity : await meanDifference(file, other.file);
    expect(`sample ${i + 1}, levels`, levels, SAMPLE_LIMIT);
  }
  const { nodes = 0, splits = 0 } = of(theirs, 'memory')[0] ?? {};
  holds('a step is one split', splits === 1);

  const killed = await killedAndResumed(
    await newRun(join(root, 'killed'), data),
    job,
    trainer,
    env,
  );
  const expected = of(theirs, 'step').slice(0, KILLED_STEPS);
  holds('killed and resumed, bit for bit', traceOf(killed) === traceOf(expected));
  return {
    name,
    checks,
    seconds: (performance.now() - start) / 1000,
    device: '',
    complaints: checks
      .filter(({ ok }) => !ok)
      .map(({ check, error, limit }) => `${check}: error ${error}, the limit is ${limit}`),
    difference: Math.max(...losses),
    nodes,
    splits,
  };
}

type Step = Extract<TrainerEvent, { event: 'step' }>;

/** The steps of a run that is killed after its first checkpoint and goes on from the newest one. */
async function killedAndResumed(
  where: Place,
  job: Kind['job'],
  trainer: string,
  env: NodeJS.ProcessEnv,
): Promise<Step[]> {
  const device = 'vulkan';
  const first = await launch(trainer, job(where, { device }), env);
  first.send({ command: 'save' });
  await first.until(({ event }) => event === 'checkpoint');
  first.process.kill('SIGKILL');
  await first.finished.catch(() => {}); // it has no end
  const newest = (await readdir(join(where.folder, 'checkpoints')))
    .filter((name) => name.startsWith('step-'))
    .toSorted()
    .at(-1)!;
  const resume = join(where.folder, 'checkpoints', newest);
  const { events } = await run(
    trainer,
    job(where, { device, resume, last_step: KILLED_STEPS }),
    env,
  );
  const at = Number(newest.slice('step-'.length));
  const before = of(first.events(), 'step').filter(({ step }) => step <= at);
  return [...before, ...of(events, 'step')];
}

const relative = (value: number, expected: number): number => Math.abs(value / expected - 1);

const itemsOf = (events: readonly TrainerEvent[]): string =>
  of(events, 'step')
    .map(({ items_hash }) => items_hash)
    .join();

/** All of a step but how long it took. */
const traceOf = (steps: readonly Step[]): string =>
  JSON.stringify(steps, (key, value: unknown) => (key === 'ms' ? undefined : value));

async function meanDifference(a: string, b: string): Promise<number> {
  const [x, y] = await Promise.all([a, b].map((file) => sharp(file).raw().toBuffer()));
  if (x!.length !== y!.length) return Infinity;
  return x!.reduce((sum, value, i) => sum + Math.abs(value - y![i]!), 0) / x!.length;
}
