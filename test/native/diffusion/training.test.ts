import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { secondEpoch, trace, useTrainer } from './harness.ts';
import { checkpointPath, contents, STEPS } from './job.ts';
import { of } from './launch.ts';

const { program, place, train, launchJob, whole } = useTrainer();

describe('training', () => {
  test('says what it does, learns, and publishes a checkpoint whose hashes are right', async () => {
    const { where, trace: steps } = await whole();
    expect(steps).toHaveLength(2 * STEPS);
    const folder = checkpointPath(where, 2 * STEPS);
    const names = [
      'ema.safetensors',
      'manifest.json',
      'optimizer.safetensors',
      'state.json',
      'weights.safetensors',
    ];
    expect((await readdir(folder)).sort()).toEqual(names);
    for (const [name, sha256] of Object.entries(await contents(folder))) {
      const hash = createHash('sha256')
        .update(await readFile(join(folder, name)))
        .digest('hex');
      expect(hash).toBe(sha256);
    }
    const state = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')) as {
      seen: number;
      vocabulary: string[];
    };
    expect(state).toMatchObject({ step: 2 * STEPS, epoch: 2, seen: 2 * STEPS * 4 });
    expect(state.vocabulary).toEqual(['a', 'again', 'blue', 'circle', 'green', 'red', 'square']);
  });

  test('says hello with what its numbers depend on', async () => {
    const [hello] = of(await train(await place(), { last_step: 1 }), 'hello');
    expect(hello).toMatchObject({ protocol: 1, trainer: 'tiller-diffusion', device: 'cpu' });
    expect(hello?.fingerprint).toMatchObject({
      device: 'cpu',
      threads: 1,
      precision: 'f32',
      kernels: expect.any(String),
    });
    expect(hello?.knows).toContain('evaluate');
    expect(hello?.parameters).toBeGreaterThan(10_000);
  });

  test('two micro-batches of 2 are one of 4', async () => {
    const [one, two] = [await place(), await place()];
    const a = trace(await train(one));
    const b = trace(await train(two, { recipe: { train: { batch: 2, accumulation: 2 } } }));
    expect(b.map(({ items_hash }) => items_hash)).toEqual(a.map(({ items_hash }) => items_hash));
    for (const [i, { loss, grad_norm }] of a.entries()) {
      expect(Math.abs((b[i]?.loss ?? 0) / loss - 1)).toBeLessThan(1e-5);
      expect(Math.abs((b[i]?.grad_norm ?? 0) / (grad_norm ?? 0) - 1)).toBeLessThan(1e-4);
    }
  });

  test('the same with two threads, but for rounding', async () => {
    const a = trace(await train(await place()));
    const twice = [await place(), await place()].map((where) => train(where, { threads: 2 }));
    const [b, c] = await Promise.all(twice);
    expect(trace(b ?? [])).toEqual(trace(c ?? []));
    expect(trace(b ?? []).at(-1)?.loss).toBeCloseTo(a.at(-1)?.loss ?? 0, 3);
  });

  test('ggml, which computes on GPUs, comes to the same on this processor', async () => {
    const own = trace(await train(await place(), { last_step: 8 }));
    const ggml = await train(await place(), { last_step: 8, device: 'ggml-cpu' });
    expect(of(ggml, 'hello')[0]?.fingerprint).toMatchObject({
      device: 'ggml-cpu',
      precision: 'f32',
      kernels: expect.stringMatching(/^ggml-cpu:/),
    });
    const names = (plan?: { parts: { name: string }[] }) => plan?.parts.map(({ name }) => name);
    const [memory] = of(ggml, 'memory');
    expect(names(memory)).toEqual(['weights', 'gradients', 'activations', 'inputs', 'driver']);
    expect(names(memory?.host)).toEqual(['weights', 'average', 'gradients', 'optimizer']);
    expect(memory?.splits).toBe(1);
    expect(memory?.nodes).toBeGreaterThan(500);
    for (const [i, { loss, grad_norm, items_hash }] of trace(ggml).entries()) {
      expect(items_hash).toBe(own[i]?.items_hash);
      expect(Math.abs(loss / (own[i]?.loss ?? 0) - 1)).toBeLessThan(1e-3);
      expect(Math.abs((grad_norm ?? 0) / (own[i]?.grad_norm ?? 0) - 1)).toBeLessThan(1e-2);
    }
  });

  test('in BF16 on a device that is asked for it', async () => {
    const own = trace(await train(await place(), { last_step: 8 }));
    const recipe = { train: { precision: 'bf16' } };
    const half = await train(await place(), { last_step: 8, device: 'ggml-cpu', recipe });
    const [hello] = of(half, 'hello');
    expect([hello?.precision, hello?.fingerprint['precision']]).toEqual(['bf16', 'bf16']);
    expect(of(half, 'warning')).toEqual([]);
    for (const [i, { loss }] of trace(half).entries()) {
      expect(loss).not.toBe(own[i]?.loss);
      expect(Math.abs(loss / (own[i]?.loss ?? 0) - 1)).toBeLessThan(1e-2);
    }
  });

  test.each(['bf16', 'f16'])(
    'our own kernels compute in F32, and say so of %s',
    async (precision) => {
      const said = await train(await place(), { last_step: 1, recipe: { train: { precision } } });
      expect(of(said, 'hello')[0]?.precision).toBe('f32');
      const why =
        precision === 'bf16' ? /\((the processor has no AMX|no oneDNN was found)/ : /not used$/;
      expect(of(said, 'warning')).toMatchObject([
        { code: 'PRECISION_F32', message: expect.stringMatching(why) },
      ]);
    },
  );

  test.each(['epsilon', 'v'])('min-SNR weighs the loss of %s prediction', async (prediction) => {
    const plain = trace(
      await train(await place(), { recipe: { train: { prediction, batch: 16 } } }),
    );
    const weighted = trace(
      await train(await place(), {
        recipe: { train: { prediction, batch: 16, min_snr_gamma: 5 } },
      }),
    );
    // Every weight is at most 1; the weights of the model and the items of the first step are the same.
    expect(weighted[0]?.items_hash).toBe(plain[0]?.items_hash);
    expect(weighted[0]?.loss).toBeLessThan(plain[0]?.loss ?? 0);
    expect(weighted[0]?.loss).toBeGreaterThan(0);
  });

  test('an infinite weight stops before the update, names the pictures, and keeps the checkpoint', async () => {
    const where = await place();
    await train(where);
    const good = await contents(checkpointPath(where, STEPS));
    const recipe = { train: { learning_rate: 1, clip: 1000, warmup_steps: 0, weight_decay: 1 } };
    const wild = { ...secondEpoch(where), last_step: 400, recipe };
    const trained = await launchJob(where, wild);
    trained.send({ command: 'set', lr_factor: 1e38 });
    const { code, events } = await trained.finished;
    expect(code).toBe(65);
    const [error] = of(events, 'error');
    expect(error).toMatchObject({ code: 'LOSS_NOT_FINITE', exit: 65 });
    expect(error?.message).toMatch(/of step \d+ is not finite, with the pictures [0-9a-f]{16} \(/);
    expect(of(events, 'checkpoint')).toEqual([]);
    expect(await contents(checkpointPath(where, STEPS))).toEqual(good);
  });
});

test('devices: our own kernels, and what ggml finds', async () => {
  const { stdout } = await execa(program(), ['devices']);
  const { devices } = JSON.parse(stdout) as { devices: { kind: string }[] };
  expect(devices[0]).toMatchObject({
    kind: 'cpu',
    type: 'cpu',
    description: expect.stringContaining('floats'),
  });
  expect(devices.map(({ kind }) => kind)).toContain('ggml-cpu');
});
