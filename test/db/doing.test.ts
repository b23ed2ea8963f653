import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ingest, type Said } from '../../db/ingest.ts';
import { getLaunch, launchEnded } from '../../db/launches.ts';
import { plannedMemory, workingTrainer } from '../../db/page-details.ts';
import { launchStarted, createLaunch } from '../../db/launches.ts';
import { registerArtifact } from '../../db/samples.ts';
import { working, type Working } from './record.ts';

const RUN = '/home/runs/r';

/** As `working`, with a launch in a run's folder. */
function begun(): Working {
  const work = working({ samples: { prompts: ['red heart', 'cat'] } });
  const { db, lease, run } = work;
  const folder = join(RUN, 'launches', 'e0001-train');
  const launch = createLaunch(db, lease, { run, epoch: 1, stage: 'train', folder });
  launchStarted(db, lease, launch.id, 1, 'boot:1');
  return { ...work, launch };
}

let at = 0;
const say = ({ db, lease, launch }: Working, ...events: Said[]) => {
  const lines = events.map((event) => ({ event, end: (at += 10) }));
  return ingest(db, lease, launch, lines, at);
};
const shown = ({ db, run }: Working) => {
  const { preview, progress } = workingTrainer(db, run)!;
  return { preview: JSON.parse(preview ?? 'null'), progress: JSON.parse(progress ?? 'null') };
};

const preview = (file = `${RUN}/samples/preview-p0.png`, sampling_step = 6): Said => ({
  event: 'preview',
  step: 10,
  epoch: 1,
  prompt: 0,
  sampling_step,
  sampling_steps: 20,
  file,
});
const progress = (phase: string, done: number): Said => ({
  event: 'progress',
  phase,
  done,
  total: 8,
});
const step: Said = { event: 'step', step: 11, epoch: 1, loss: 1 };
const sample = (prompt: number): Said => ({
  event: 'sample',
  step: 10,
  epoch: 1,
  prompt,
  seed: 7,
  sampler: 'ddim',
  sampling_steps: 20,
  guidance: 3,
  width: 32,
  height: 32,
  weights: 'ema',
  sha256: 'a'.repeat(64),
});

describe('what a trainer does now', () => {
  test('is its newest preview alone, by the name of its file', () => {
    const work = begun();
    say(work, preview(), preview(undefined, 9));
    expect(shown(work).preview).toEqual({
      step: 10,
      epoch: 1,
      prompt: 0,
      sampling_step: 9,
      sampling_steps: 20,
      picture: 'preview-p0.png',
    });
  });

  test.each([
    ['a sample', sample(0)],
    ['a step', step],
    ['an error', { event: 'error', code: 'X', message: 'x' }],
    ['the end', { event: 'done' }],
  ] as [string, Said][])('is no preview any more with %s, in one batch or the next', (_, event) => {
    const work = begun();
    registerArtifact(work.db, { sha256: 'a'.repeat(64), mediaType: 'image/png', bytes: 1 });
    say(work, preview(), event);
    expect(shown(work).preview).toBeNull();
    say(work, preview());
    expect(shown(work).preview).not.toBeNull();
    say(work, event);
    expect(shown(work).preview).toBeNull();
    // The next sample is another one.
    say(work, event, preview());
    expect(shown(work).preview).not.toBeNull();
  });

  test('ends with its launch, whatever it said last', () => {
    const work = begun();
    say(work, preview(), progress('samples', 1));
    launchEnded(work.db, work.lease, work.launch.id, null);
    expect(workingTrainer(work.db, work.run)).toBeUndefined();
    expect(getLaunch(work.db, work.launch.id)).toMatchObject({ preview: null, progress: null });
  });

  test('the same lines again bring nothing back', () => {
    const work = begun();
    const old = { event: preview(), end: (at += 10) };
    const { db, lease, launch } = work;
    ingest(db, lease, launch, [old, { event: { event: 'done' }, end: (at += 10) }], at);
    ingest(db, lease, launch, [old], old.end);
    expect(shown(work).preview).toBeNull();
  });

  test.each([
    `${RUN}/samples/../checkpoints/preview-p0.png`,
    `${RUN}/samples/sub/preview-p0.png`,
    '/home/runs/other/samples/preview-p0.png',
    '/etc/preview-p0.png',
    'preview-p0.png',
    `${RUN}/samples/step-1.png`,
    `${RUN}/samples/preview-p0.png/`,
    `${RUN}/samples/preview-.tiller.db`,
    `${RUN}/samples/preview-${'x'.repeat(100)}.png`,
    '',
  ])('a file that is not one of the run’s previews is not named: %s', (file) => {
    const work = begun();
    say(work, preview(file));
    expect(shown(work).preview).toMatchObject({ sampling_step: 6, picture: null });
  });

  test('long work is shown until the first step', () => {
    const work = begun();
    say(work, progress('latents', 3));
    expect(shown(work).progress).toEqual({ phase: 'latents', done: 3, total: 8 });
    say(work, progress(`\u001b[2J${'x'.repeat(99)}`, 1));
    expect(shown(work).progress.phase).toBe(`[2J${'x'.repeat(37)}`);
    say(work, step);
    expect(shown(work).progress).toBeNull();
  });
});

test('the newest plan of memory stays, of whatever launch', () => {
  const work = begun();
  expect(plannedMemory(work.db, work.run)).toBeUndefined();
  const parts = [{ name: 'weights', bytes: 3 }];
  say(work, { event: 'memory', total_bytes: 4, available_bytes: 9, parts });
  say(work, step, { event: 'done' });
  launchEnded(work.db, work.lease, work.launch.id, null);
  const plan = { stage: 'train', epoch: 1, total_bytes: 4, available_bytes: 9, parts };
  expect(plannedMemory(work.db, work.run)).toEqual(plan);
  const { db, lease, run } = work;
  const next = createLaunch(db, lease, { run, epoch: 1, stage: 'evaluate', folder: RUN });
  // One that says nothing of it leaves what is known.
  expect(plannedMemory(db, run)).toEqual(plan);
  say({ ...work, launch: next }, { event: 'memory', total_bytes: 5, parts: [] });
  expect(plannedMemory(db, run)).toMatchObject({ stage: 'evaluate', available_bytes: null });
  const host = { total_bytes: 7, parts };
  say({ ...work, launch: next }, { event: 'memory', ...host, host, nodes: 900, splits: 1 });
  const need = { ...host, available_bytes: null };
  const there = { stage: 'evaluate', epoch: 1, ...need, host: need, nodes: 900, splits: 1 };
  expect(plannedMemory(db, run)).toEqual(there);
});
