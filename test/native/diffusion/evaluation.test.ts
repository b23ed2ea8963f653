import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { copyWithState } from '../../../activities/export/plain-copy.ts';
import { useTrainer } from './harness.ts';
import { checkpointPath, type JobChanges, type Place, STEPS } from './job.ts';
import { of } from './launch.ts';

const { place, runJob, train, whole } = useTrainer();

describe('evaluation', () => {
  const evaluate = (where: Place, changes: JobChanges = {}) =>
    train(where, {
      stage: 'evaluate',
      first_step: STEPS,
      last_step: STEPS,
      resume: checkpointPath(where, STEPS),
      ...changes,
    });

  test('validates with fixed noise and makes a picture for each prompt, the same each time', async () => {
    const { where } = await whole();
    const events = await evaluate(where);
    const [validation] = of(events, 'validation');
    expect(validation).toMatchObject({ step: STEPS, epoch: 1, items: 4, weights: 'ema' });
    expect(validation?.bins.map(({ timestep }) => timestep)).toEqual([166, 500, 833]);
    const mean = (validation?.bins ?? []).reduce((sum, { loss }) => sum + loss, 0) / 3;
    expect(validation?.loss).toBeCloseTo(mean, 9);
    const samples = of(events, 'sample');
    expect(samples).toMatchObject([
      { prompt: 0, width: 16, height: 16, seed: 7 },
      { prompt: 1, width: 32, height: 8 },
    ]);
    for (const { file, sha256, width, height } of samples) {
      const bytes = await readFile(file);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
      expect(await sharp(bytes).metadata()).toMatchObject({
        format: 'png',
        width,
        height,
        channels: 3,
      });
      expect((await sharp(bytes).raw().toBuffer()).length).toBe(width * height * 3);
    }
    const again = await evaluate(where);
    expect(of(again, 'validation')).toEqual([validation]);
    expect(of(again, 'sample')).toEqual(samples);
    expect(
      (await readdir(join(where.folder, 'samples'))).filter((name) => name.startsWith('.')),
    ).toEqual([]);
  });

  test('samples the prompts that the job names, and no others', async () => {
    const { where } = await whole();
    const sampled = async (sample_prompts: number[]): Promise<unknown[]> =>
      of(await evaluate(where, { sample_prompts }), 'sample').map(({ prompt }) => prompt);
    expect(await sampled([1])).toEqual([1]);
    expect(await sampled([])).toEqual([]);
  });

  test('raw weights and averages are both measured', async () => {
    const { where } = await whole();
    const raw = await evaluate(where, {
      recipe: { validation: { weights: 'raw' }, samples: { weights: 'raw' } },
    });
    const averaged = await evaluate(where);
    expect(of(raw, 'validation')[0]?.weights).toBe('raw');
    expect(of(raw, 'validation')[0]?.loss).not.toBe(of(averaged, 'validation')[0]?.loss);
    expect(of(raw, 'sample')[0]?.sha256).not.toBe(of(averaged, 'sample')[0]?.sha256);
  });

  test('epoch 0 is the untouched base', async () => {
    const where = await place();
    const events = await train(where, { stage: 'evaluate', epoch: 0, last_step: 0 });
    expect(of(events, 'validation')).toMatchObject([{ step: 0, epoch: 0 }]);
    expect(of(events, 'sample')).toHaveLength(2);
    expect(of(events, 'done')).toMatchObject([{ reason: 'finished', step: 0 }]);
  });

  test('the other sampler, and no guidance', async () => {
    const { where } = await whole();
    const files = new Set<string>();
    for (const samples of [{ sampler: 'dpm++2m' }, { guidance: 1 }, { steps: 1 }, {}]) {
      for (const { sha256 } of of(await evaluate(where, { recipe: { samples } }), 'sample'))
        files.add(sha256);
    }
    expect(files.size).toBe(8);
  });

  test('words that no caption has are dropped, and named once', async () => {
    const { where } = await whole();
    const prompts = ['red zeppelin', 'blue zeppelin', 'a a a a a a a a'].map((text) => ({
      text,
      negative: '',
      seed: 7,
    }));
    const events = await evaluate(where, { recipe: { samples: { prompts } } });
    const said = of(events, 'warning').map(({ code, message }) => `${code} ${message}`);
    expect(said.filter((line) => line.startsWith('WORD_UNKNOWN'))).toEqual([
      expect.stringMatching(/zeppelin$/),
    ]);
    expect(said.filter((line) => line.startsWith('TEXT_CUT'))).toHaveLength(1);
  });

  test('a base gives its weights, and its words their rows', async () => {
    const { where: other } = await whole();
    const base = checkpointPath(other, STEPS);
    const started = await train(await place(), {
      stage: 'evaluate',
      epoch: 0,
      last_step: 0,
      recipe: { base },
    });
    const trained = await evaluate(other);
    expect(of(started, 'validation')[0]?.loss).toBe(of(trained, 'validation')[0]?.loss);
    const exported = join(other.folder, 'exported.safetensors');
    await copyWithState(base, 'ema.safetensors', exported);
    const again = await train(await place(), {
      stage: 'evaluate',
      epoch: 0,
      last_step: 0,
      recipe: { base: exported },
    });
    expect(of(again, 'validation')[0]?.loss).toBe(of(trained, 'validation')[0]?.loss);
    // Not CHECKPOINT_CORRUPT: for that a run sets its own checkpoints aside.
    await truncate(exported, 1000);
    const cut = await runJob(await place(), { recipe: { base: exported } });
    expect(of(cut.events, 'error')).toMatchObject([{ code: 'BASE_CORRUPT' }]);
    const stateless = join(other.folder, 'stateless.safetensors');
    await copyWithState(base, 'ema.safetensors', stateless);
    await writeFile(
      stateless,
      (await readFile(stateless, 'latin1')).replace('vocabulary', 'vocabulari'),
      'latin1',
    );
    const bare = await runJob(await place(), { recipe: { base: stateless } });
    expect(of(bare.events, 'error')).toMatchObject([{ code: 'BASE_CORRUPT' }]);
    const narrow = await runJob(await place(), { recipe: { base, model: { base_channels: 32 } } });
    expect(of(narrow.events, 'error')).toMatchObject([{ code: 'CHECKPOINT_MISMATCH' }]);
  });
});
