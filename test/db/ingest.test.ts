import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { epochCheckpoint, keptCheckpoints, markDamaged } from '../../db/checkpoints.ts';
import { beginEpoch, endEpoch, listEpochs, markEvaluated } from '../../db/epochs.ts';
import { getEvaluation } from '../../db/evaluations.ts';
import { eventsAfter } from '../../db/events.ts';
import { ingest, type Said, type SaidLine } from '../../db/ingest.ts';
import { getLaunch } from '../../db/launches.ts';
import { takeLease } from '../../db/leases.ts';
import { readPoints } from '../../db/metrics.ts';
import { getRun } from '../../db/runs.ts';
import { listSamples, registerArtifact } from '../../db/samples.ts';
import { newLaunch, temporaryFolder, working, type Working } from './record.ts';

const step = (number: number, loss = 1 / number, ms = 100): Said => ({
  event: 'step',
  step: number,
  epoch: 1,
  loss,
  lr: 1e-3,
  grad_norm: loss * 2,
  ms,
});

/** As a spool has them: each line ends 100 bytes behind the one before. */
const lines = (events: readonly Said[], from = 0): SaidLine[] =>
  events.map((event, index) => ({ event, end: from + 100 * (index + 1) }));

const take = ({ db, lease, launch }: Working, some: readonly SaidLine[], offset?: number) =>
  ingest(db, lease, launch, some, offset ?? some.at(-1)?.end ?? 0);

const kinds = ({ db, run }: Working, kind: string) =>
  eventsAfter(db, 0, run).filter((event) => event.kind === kind);

/** All that ingest may leave behind, but for ids and times. */
function everything({ db, run, launch }: Working): unknown {
  const all = (sql: string) => db.raw.prepare<[string]>(sql).all(run);
  return {
    curves: ['loss', 'lr', 'grad_norm', 'ms'].map((name) => readPoints(db, run, name)),
    step: getRun(db, run).step,
    offset: getLaunch(db, launch.id).spool_offset,
    events: all('SELECT kind, code, step, message FROM event WHERE run = ? ORDER BY id'),
    samples: all('SELECT step, prompt, artifact FROM sample WHERE run = ? ORDER BY step, prompt'),
    evaluations: all('SELECT epoch, weights, loss, bins FROM evaluation WHERE run = ?'),
    checkpoints: all(
      'SELECT step, kind, sha256, state FROM checkpoint WHERE run = ? ORDER BY step',
    ),
  };
}

const sha = (letter: string): string => letter.repeat(64);

const validation = (loss: number): Said => ({
  event: 'validation',
  step: 10,
  epoch: 1,
  loss,
  bins: [
    { timestep: 62, loss: Number.NaN },
    { timestep: 937, loss: 0.5 },
  ],
  weights: 'ema',
});

const checkpoint = (
  number: number,
  path = '/gone',
  kind: 'rolling' | 'epoch' = 'rolling',
): Said => ({
  event: 'checkpoint',
  step: number,
  epoch: 1,
  path,
  sha256: sha('c'),
  bytes: 5,
  kind,
});

const sample = (sha256: string, prompt = 0): Said => ({
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
  sha256,
});

const recipe = { samples: { prompts: ['red heart', 'cat'] } };

describe('ingest', () => {
  test('takes steps, and how far it read, in one transaction', () => {
    const work = working();
    const result = take(work, lines([step(1), step(2), step(3)]), 333);
    expect(result).toEqual({ taken: 3, points: 12, redone: 0, offset: 333 });
    expect(readPoints(work.db, work.run, 'loss')).toEqual([
      { step: 1, value: 1 },
      { step: 2, value: 1 / 2 },
      { step: 3, value: 1 / 3 },
    ]);
    expect(getRun(work.db, work.run)).toMatchObject({ step: 3 });
    expect(getRun(work.db, work.run).last_step_at).not.toBeNull();
    expect(getLaunch(work.db, work.launch.id)).toMatchObject({ spool_offset: 333, first_step: 1 });
  });

  test('an event that fails takes the lines before it and the offset back with it', () => {
    const work = working(recipe);
    // Its artifact was never registered.
    expect(() => take(work, lines([step(1), sample(sha('a'))]))).toThrow(/FOREIGN KEY/);
    expect(getLaunch(work.db, work.launch.id).spool_offset).toBe(0);
    expect(readPoints(work.db, work.run, 'loss')).toEqual([]);
    expect(getRun(work.db, work.run).step).toBe(0);
  });

  test('the same lines again change nothing, whatever the cuts', () => {
    const said: Said[] = [
      { event: 'hello', fingerprint: { device: 'cpu' }, knows: ['save', 'evaluate'] },
      ...Array.from({ length: 8 }, (_, index) => step(index + 1)),
      { event: 'warning', code: 'SLOW', message: 'slow' },
      step(9, Number.NaN),
      step(10),
      checkpoint(10),
      validation(0.25),
      sample(sha('a'), 0),
      sample(sha('b'), 1),
      { event: 'done' },
    ];
    const all = lines(said);
    const fresh = () => {
      const work = working(recipe);
      for (const letter of ['a', 'b']) {
        registerArtifact(work.db, { sha256: sha(letter), mediaType: 'image/png', bytes: 1 });
      }
      return work;
    };
    const once = fresh();
    take(once, all);
    const wanted = JSON.stringify(everything(once));
    const cut = fc.nat(all.length);
    fc.assert(
      fc.property(fc.array(fc.tuple(cut, cut), { maxLength: 8 }), (cuts) => {
        const work = fresh();
        let reached = 0;
        // Followers that died and began anew somewhere at or before what was taken in.
        for (const [a, b] of [...cuts, [0, all.length], [0, all.length]] as const) {
          const from = Math.min(a, reached);
          const to = Math.max(from, b);
          take(work, all.slice(from, to), all[to - 1]?.end ?? 0);
          reached = Math.max(reached, to);
        }
        expect(JSON.stringify(everything(work)).replaceAll(work.run, once.run)).toBe(wanted);
      }),
      { numRuns: 25 },
    );
  });

  test('steps that are done again alike are said to be resumed, and leave the record as it is', () => {
    const work = working();
    take(work, lines([1, 2, 3, 4, 5].map((number) => step(number))));
    const again = { ...work, launch: newLaunch(work.db, work.lease) };
    const result = take(again, lines([3, 4, 5, 6].map((number) => step(number, 1 / number, 999))));
    expect(result).toMatchObject({ points: 4, redone: 3 });
    expect(kinds(work, 'resumed')).toMatchObject([{ step: 3 }]);
    expect(kinds(work, 'difference')).toEqual([]);
    expect(readPoints(work.db, work.run, 'ms').map(({ value }) => value)).toEqual([
      100, 100, 100, 100, 100, 999,
    ]);
    expect(getRun(work.db, work.run).step).toBe(6);
  });

  test('a launch that goes on behind the newest step is no resumption', () => {
    const work = working();
    take(work, lines([step(1), step(2)]));
    take({ ...work, launch: newLaunch(work.db, work.lease) }, lines([step(3)]));
    expect(kinds(work, 'resumed')).toEqual([]);
  });

  test.each([
    ['a bit', 0.1 + 0.2, 0.3],
    ['NaN', 0.5, Number.NaN],
    ['what was NaN', Number.NaN, 0.5],
    ['the sign of 0', 0, -0],
  ])('a step that comes out otherwise by %s is said once and not replaced', (_, before, after) => {
    const work = working();
    take(work, lines([step(1), step(2, before), step(3), step(4)]));
    const again = { ...work, launch: newLaunch(work.db, work.lease) };
    take(again, lines([step(1), step(2, after)]));
    take(again, lines([step(3, 9), step(4, 9)], 200), 400);
    expect(kinds(work, 'difference')).toMatchObject([
      { step: 2, code: 'STEP_DIFFERS', data: expect.stringContaining(String(before)) },
    ]);
    expect(readPoints(work.db, work.run, 'loss')[1]).toEqual({ step: 2, value: before });
    // The next launch says it for itself.
    take({ ...work, launch: newLaunch(work.db, work.lease) }, lines([step(2, after)]));
    expect(kinds(work, 'difference')).toHaveLength(2);
  });

  test('NaN done again as NaN is no difference', () => {
    const work = working();
    take(work, lines([step(1, Number.NaN)]));
    take({ ...work, launch: newLaunch(work.db, work.lease) }, lines([step(1, Number.NaN)]));
    expect(kinds(work, 'difference')).toEqual([]);
  });

  test('a trainer that goes back within its own spool is compared with itself', () => {
    const work = working();
    take(work, lines([step(1), step(2), step(3), step(2), step(3, 7), step(4)]));
    expect(readPoints(work.db, work.run, 'loss').map(({ step: number }) => number)).toEqual([
      1, 2, 3, 4,
    ]);
    expect(kinds(work, 'difference')).toMatchObject([{ step: 3 }]);
  });

  test('an older lease is refused and takes nothing in', () => {
    const work = working();
    takeLease(work.db, work.run, 'newer');
    expect(() => take(work, lines([step(1)]))).toThrow(
      expect.objectContaining({ code: 'LEASE_LOST' }),
    );
    expect(getRun(work.db, work.run).step).toBe(0);
  });

  test('a validation keeps its bins, NaN too; another loss for it is a difference', () => {
    const work = working();
    take(work, lines([validation(0.25)]));
    expect(getEvaluation(work.db, work.run, 1, 'ema')).toMatchObject({
      loss: 0.25,
      bins: [
        { timestep: 62, loss: Number.NaN },
        { timestep: 937, loss: 0.5 },
      ],
    });
    take({ ...work, launch: newLaunch(work.db, work.lease) }, lines([validation(0.75)]));
    expect(getEvaluation(work.db, work.run, 1, 'ema')?.loss).toBe(0.25);
    expect(kinds(work, 'difference')).toMatchObject([{ code: 'VALIDATION_DIFFERS' }]);
  });

  test('an epoch has the mean of its own steps and the validation of the judged weights', () => {
    const work = working();
    const { db, run, lease } = work;
    take(work, lines([step(1, 100)]));
    beginEpoch(db, lease, { run, epoch: 1, firstStep: 1, lastStep: 4 });
    take(work, lines([step(2, 1), step(3, Number.NaN), step(4, 3), validation(0.25)], 100));
    endEpoch(db, lease, { run, epoch: 1 });
    markEvaluated(db, lease, { run, epoch: 1 });
    expect(listEpochs(db, run)).toMatchObject([
      {
        state: 'evaluated',
        train_loss: 2,
        train_loss_deviation: Math.SQRT2,
        train_loss_count: 2,
        validation_loss: 0.25,
      },
    ]);
  });

  test('a checkpoint has its weights from its manifest; the same step with others is a difference', () => {
    const work = working();
    const path = join(temporaryFolder(), 'step-00000010');
    const write = (hash: string) => {
      mkdirSync(path, { recursive: true });
      const files = { 'weights.safetensors': { bytes: 1, sha256: hash } };
      writeFileSync(join(path, 'manifest.json'), JSON.stringify({ files }));
    };
    write(sha('1'));
    take(work, lines([checkpoint(10, path, 'epoch')]));
    expect(keptCheckpoints(work.db, work.run)).toMatchObject([{ weights_sha256: sha('1') }]);
    write(sha('2'));
    take(
      { ...work, launch: newLaunch(work.db, work.lease) },
      lines([checkpoint(10, path, 'epoch')]),
    );
    expect(kinds(work, 'difference')).toMatchObject([{ code: 'WEIGHTS_DIFFER' }]);
    expect(keptCheckpoints(work.db, work.run)).toMatchObject([{ weights_sha256: sha('2') }]);
  });

  test('an epoch ends with its own checkpoint, or with another of its last step, while it is kept', () => {
    const work = working();
    const { db, run, lease } = work;
    beginEpoch(db, lease, { run, epoch: 1, firstStep: 0, lastStep: 10 });
    take(work, lines([checkpoint(5, '/five'), checkpoint(10, '/ten')]));
    expect(epochCheckpoint(db, run, 1)).toMatchObject({ path: '/ten', kind: 'rolling' });
    take(work, lines([checkpoint(10, '/epoch', 'epoch')], 200));
    expect(epochCheckpoint(db, run, 1)).toMatchObject({ path: '/epoch', kind: 'epoch' });
    markDamaged(db, lease, '/epoch');
    expect(epochCheckpoint(db, run, 1)).toMatchObject({ path: '/ten' });
    markDamaged(db, lease, '/ten');
    expect(epochCheckpoint(db, run, 1)).toBeUndefined();
    // Trained again, it is published again.
    take({ ...work, launch: newLaunch(db, lease) }, lines([checkpoint(10, '/epoch', 'epoch')]));
    expect(epochCheckpoint(db, run, 1)).toMatchObject({ path: '/epoch', state: 'kept' });
  });

  test('a sample made again alike is one; with other bytes it is a difference', () => {
    const work = working(recipe);
    for (const letter of ['a', 'b']) {
      registerArtifact(work.db, { sha256: sha(letter), mediaType: 'image/png', bytes: 1 });
    }
    take(work, lines([sample(sha('a'))]));
    take({ ...work, launch: newLaunch(work.db, work.lease) }, lines([sample(sha('a'))]));
    expect(kinds(work, 'difference')).toEqual([]);
    take({ ...work, launch: newLaunch(work.db, work.lease) }, lines([sample(sha('b'))]));
    expect(kinds(work, 'difference')).toMatchObject([{ code: 'SAMPLE_DIFFERS' }]);
    expect(listSamples(work.db, work.run)).toMatchObject([{ artifact: sha('a') }]);
  });

  test('a warning that every launch repeats is said once a run', () => {
    const work = working();
    const warning: Said = { event: 'warning', code: 'WORD_UNKNOWN', message: 'no caption has it' };
    take(work, lines([warning, { ...warning, message: 'another' }]));
    take({ ...work, launch: newLaunch(work.db, work.lease) }, lines([warning]));
    expect(kinds(work, 'warning').map(({ message }) => message)).toEqual([
      'no caption has it',
      'another',
    ]);
  });

  test('a sample of a prompt that the recipe lacks is a warning', () => {
    const work = working(recipe);
    registerArtifact(work.db, { sha256: sha('a'), mediaType: 'image/png', bytes: 1 });
    take(work, lines([sample(sha('a'), 2)]));
    expect(kinds(work, 'warning')).toMatchObject([{ code: 'TRAINER_PROTOCOL' }]);
    expect(listSamples(work.db, work.run)).toEqual([]);
  });

  test('a trainer on another kind of device is told of, by name', () => {
    const work = working();
    const hello = (kernels: string): Said => ({
      event: 'hello',
      fingerprint: { device: 'cpu', kernels },
      knows: ['save'],
    });
    take(work, lines([hello('avx512'), hello('avx512')]));
    expect(kinds(work, 'device')).toEqual([]);
    take({ ...work, launch: newLaunch(work.db, work.lease) }, lines([hello('avx2')]));
    expect(kinds(work, 'device')).toMatchObject([
      { code: 'DEVICE_DIFFERS', message: expect.stringContaining('kernels avx512 → avx2') },
    ]);
    expect(getRun(work.db, work.run).knows).toBe('save');
  });
});
