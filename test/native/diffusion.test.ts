import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import sharp from 'sharp';
import {
  buildTrainer,
  checkpointPath,
  contents,
  type JobChanges,
  jobFor,
  launch,
  newRun,
  of,
  type Place,
  run,
  STEPS,
  writeData,
} from './diffusion-job.ts';

let root: string;
let manifest: string;
let trainer: string;
let places = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tiller-diffusion-'));
  manifest = await writeData(join(root, 'data'));
  trainer = await buildTrainer();
}, 600_000);

afterAll(() => rm(root, { recursive: true, force: true }));

const place = (): Promise<Place> => newRun(join(root, `run-${places++}`), manifest);

/** Trains and insists that it ended well. */
async function train(where: Place, changes: JobChanges = {}) {
  const finished = await run(trainer, jobFor(where, changes));
  expect(finished).toMatchObject({ code: 0 });
  return finished.events;
}

const isAlive = (pid: number | undefined): boolean => process.kill(pid ?? 0, 0);

const secondEpoch = (where: Place): JobChanges => ({
  epoch: 2,
  first_step: STEPS,
  last_step: 2 * STEPS,
  resume: checkpointPath(where, STEPS),
});

/** The run that was never killed: two epochs. */
const whole = (() => {
  let made: Promise<{ where: Place; trace: unknown[] }> | undefined;
  return () =>
    (made ??= (async () => {
      const where = await place();
      const first = await train(where);
      const second = await train(where, secondEpoch(where));
      return { where, trace: [...trace(first), ...trace(second)] };
    })());
})();

/** All that must be the same in a step that is done again. */
const trace = (events: Parameters<typeof of>[0]) =>
  of(events, 'step').map(({ step, epoch, loss, lr, grad_norm, seen, items_hash }) => ({
    step, epoch, loss, lr, grad_norm, seen, items_hash,
  })); // prettier-ignore

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
    expect(of(ggml, 'hello')[0]?.fingerprint).toMatchObject({ device: 'ggml-cpu' });
    for (const [i, { loss, grad_norm, items_hash }] of trace(ggml).entries()) {
      expect(items_hash).toBe(own[i]?.items_hash);
      expect(Math.abs(loss / (own[i]?.loss ?? 0) - 1)).toBeLessThan(1e-3);
      expect(Math.abs((grad_norm ?? 0) / (own[i]?.grad_norm ?? 0) - 1)).toBeLessThan(1e-2);
    }
  });

  test.each(['epsilon', 'v'])('min-SNR weighs the loss of %s prediction', async (prediction) => {
    const plain = trace(await train(await place(), { recipe: { train: { prediction } } }));
    const weighted = trace(
      await train(await place(), { recipe: { train: { prediction, min_snr_gamma: 5 } } }),
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
    const trained = await launch(trainer, jobFor(where, wild));
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

describe('resuming', () => {
  test.each([1, 7, 19])(
    'from step %i is bit for bit the run that was never stopped',
    async (step) => {
      const { where: other, trace: expected } = await whole();
      const where = await place();
      const before = await train(where, { last_step: step });
      const after = await train(where, { resume: checkpointPath(where, step) });
      expect([...trace(before), ...trace(after)]).toEqual(expected.slice(0, STEPS));
      const { 'state.json': _, ...tensors } = await contents(checkpointPath(where, STEPS));
      expect(tensors).toEqual(expect.objectContaining(tensors));
      expect(await contents(checkpointPath(where, STEPS))).toEqual(
        await contents(checkpointPath(other, STEPS)),
      );
    },
  );

  test('after kill -9, twice, too', async () => {
    const { where: other, trace: expected } = await whole();
    const where = await place();
    const recipe = { checkpoints: { every_seconds: 0.05 } };
    const redone = new Map<number, unknown>();
    let resume: string | null = null;
    for (const kill of [true, true, false]) {
      const job = jobFor(where, { epoch: 2, last_step: 2 * STEPS, resume, recipe });
      const trained = await launch(trainer, job);
      let steps = 0;
      if (kill) {
        await trained.until((event) => event.event === 'step' && ++steps > 4);
        trained.process.kill('SIGKILL');
      }
      const { events, signal } = await trained.finished.catch(() => ({
        events: [],
        signal: 'SIGKILL',
      }));
      expect(signal).toBe(kill ? 'SIGKILL' : undefined);
      for (const step of trace(events)) {
        if (redone.has(step.step)) expect(step).toEqual(redone.get(step.step));
        redone.set(step.step, step);
      }
      const names = (await readdir(join(where.folder, 'checkpoints'))).filter((name) =>
        name.startsWith('step-'),
      );
      const newest = names.sort().at(-1);
      resume = newest === undefined ? null : join(where.folder, 'checkpoints', newest);
    }
    expect([...redone.values()]).toEqual(expected);
    expect(await contents(checkpointPath(where, 2 * STEPS))).toEqual(
      await contents(checkpointPath(other, 2 * STEPS)),
    );
  });

  test('without the moments it would be another run', async () => {
    const { where: other, trace: expected } = await whole();
    const where = await place();
    await cp(checkpointPath(other, STEPS), checkpointPath(where, STEPS), { recursive: true });
    const file = join(checkpointPath(where, STEPS), 'optimizer.safetensors');
    const bytes = await readFile(file);
    bytes.fill(0, 8 + Number(bytes.readBigUInt64LE(0)));
    await replace(checkpointPath(where, STEPS), 'optimizer.safetensors', bytes);
    const steps = trace(await train(where, secondEpoch(where)));
    expect(steps[0]).toEqual(expected[STEPS]); // the first loss is of the same weights …
    expect(steps[1]?.loss).not.toEqual((expected[STEPS + 1] as { loss: number }).loss);
  });

  test('at the last step there is nothing to do, and the checkpoint is announced again', async () => {
    const { where } = await whole();
    const events = await train(where, { resume: checkpointPath(where, STEPS) });
    expect(of(events, 'step')).toEqual([]);
    expect(of(events, 'checkpoint')).toMatchObject([{ step: STEPS, kind: 'epoch', epoch: 1 }]);
    expect(of(events, 'done')).toMatchObject([{ reason: 'finished', step: STEPS }]);
  });

  test('passes go on over the end of an epoch: every picture once a pass', async () => {
    // 20 pictures, 4 a step: 5 steps are a pass.
    const seen: string[] = [];
    const where = await place();
    const events = await train(where, {
      recipe: { train: { batch: 1 } },
      epoch: 2,
      last_step: 2 * STEPS,
    });
    for (const { items_hash } of of(events, 'step')) seen.push(items_hash ?? '');
    const [first, second] = [seen.slice(0, 20), seen.slice(20)];
    expect(new Set(first).size).toBe(20);
    expect(new Set(second)).toEqual(new Set(first));
    expect(second).not.toEqual(first);
  });
});

/** Rewrites a file of a checkpoint, and its hash. */
async function replace(checkpoint: string, name: string, bytes: Buffer): Promise<void> {
  await writeFile(join(checkpoint, name), bytes);
  const file = join(checkpoint, 'manifest.json');
  const written = JSON.parse(await readFile(file, 'utf8')) as { files: Record<string, unknown> };
  written.files[name] = {
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
  await writeFile(file, JSON.stringify(written));
}

describe('a checkpoint that does not fit is refused by name', () => {
  const broken = async (spoil: (checkpoint: string) => Promise<void>, changes: JobChanges = {}) => {
    const { where: other } = await whole();
    const where = await place();
    const checkpoint = checkpointPath(where, STEPS);
    await cp(checkpointPath(other, STEPS), checkpoint, { recursive: true });
    await spoil(checkpoint);
    const { code, events } = await run(
      trainer,
      jobFor(where, { ...secondEpoch(where), ...changes }),
    );
    const [error] = of(events, 'error');
    return { code, error, says: `${error?.code} ${error?.message}` };
  };

  test.each(['weights.safetensors', 'optimizer.safetensors', 'ema.safetensors', 'state.json'])(
    'one bit of %s is flipped',
    async (name) => {
      const { code, says } = await broken(async (checkpoint) => {
        const bytes = await readFile(join(checkpoint, name));
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        await writeFile(join(checkpoint, name), bytes);
      });
      expect([code, says]).toEqual([
        65,
        expect.stringMatching(`^CHECKPOINT_CORRUPT .*${name} does not match its hash`),
      ]);
    },
  );

  test('a file is missing, or cut short; there is no manifest, or half of one', async () => {
    const missing = await broken((checkpoint) => rm(join(checkpoint, 'ema.safetensors')));
    expect(missing.says).toMatch(/^CHECKPOINT_CORRUPT .*ema.safetensors is missing/);
    const cut = await broken(async (checkpoint) => {
      const file = join(checkpoint, 'weights.safetensors');
      await writeFile(file, (await readFile(file)).subarray(0, 1000));
    });
    expect(cut.says).toMatch(/^CHECKPOINT_CORRUPT .*weights.safetensors has 1000 bytes, not/);
    const bare = await broken((checkpoint) => rm(join(checkpoint, 'manifest.json')));
    expect(bare.says).toMatch(/^CHECKPOINT_CORRUPT .*manifest.json is missing/);
    const half = await broken(async (checkpoint) => {
      const file = join(checkpoint, 'manifest.json');
      await writeFile(file, (await readFile(file, 'utf8')).slice(0, 100));
    });
    expect(half.says).toMatch(/^CHECKPOINT_CORRUPT .*manifest.json can't be read/);
  });

  test.each(['recipe', 'data', 'base'])('it was made with another %s', async (key) => {
    const fingerprint = { recipe: 'r', data: 'd', base: '', [key]: 'other' };
    const { code, says } = await broken(() => Promise.resolve(), { fingerprint });
    expect([code, says]).toEqual([
      65,
      expect.stringMatching(`^CHECKPOINT_MISMATCH .*another ${key} `),
    ]);
  });

  test('it is of another architecture', async () => {
    const wider = await broken(() => Promise.resolve(), {
      recipe: { model: { base_channels: 32 } },
    });
    expect(wider).toMatchObject({
      code: 65,
      says: expect.stringMatching(
        /^CHECKPOINT_MISMATCH .*another architecture: \S+ is \[.*\], not \[/,
      ),
    });
    const deeper = await broken(() => Promise.resolve(), {
      recipe: { model: { channel_multipliers: [1, 2, 2] } },
    });
    expect(deeper.says).toMatch(/^CHECKPOINT_MISMATCH .*another architecture: (it lacks|\S+ is)/);
    const shallower = await broken(() => Promise.resolve(), {
      recipe: { model: { text: { layers: 0 } } },
    });
    expect(shallower.says).toMatch(
      /^CHECKPOINT_MISMATCH .*another architecture: it has \S*encoder.layers.0\S*, which this model lacks/,
    );
  });
});

describe('commands', () => {
  const long: JobChanges = { last_step: 5000, recipe: { train: { steps_per_epoch: 5000 } } };

  test('save, sample, set, and stop', async () => {
    const where = await place();
    const trained = await launch(trainer, jobFor(where, long));
    await trained.until((event) => event.event === 'step');
    trained.send({ command: 'save', request: 'a' });
    trained.send({ command: 'sample', request: 'b', prompts: [1] });
    trained.send('this is not JSON');
    trained.send({ command: 'set', lr_factor: 0.5 });
    await trained.until((event) => event.event === 'sample');
    trained.send({ command: 'stop', request: 'c' });
    const { code, events } = await trained.finished;
    expect(code).toBe(0);
    expect(of(events, 'acknowledged').map(({ request }) => request)).toEqual(['a', 'b', 'c']);
    expect(of(events, 'sample')).toMatchObject([
      { prompt: 1, request: 'b', weights: 'ema', width: 32, height: 8 },
    ]);
    expect(of(events, 'warning').map(({ code: name }) => name)).toContain('COMMAND_UNREADABLE');
    const saved = of(events, 'checkpoint');
    expect(saved.map(({ kind }) => kind)).toEqual(['requested', 'requested']);
    const [done] = of(events, 'done');
    expect(done).toMatchObject({
      reason: 'stopped',
      checkpoint: saved[1]?.path,
      step: saved[1]?.step,
    });
    expect(events.at(-1)).toBe(done);
    const last = of(events, 'step').at(-1);
    expect(last?.lr).toBeCloseTo(0.0005 * Math.min(1, (last?.step ?? 0) / 5), 9);
    const state = JSON.parse(
      await readFile(join(saved[1]?.path ?? '', 'state.json'), 'utf8'),
    ) as unknown;
    expect(state).toMatchObject({ learning_rate_factor: 0.5 });
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s stops at a checkpoint', async (signal) => {
    const trained = await launch(trainer, jobFor(await place(), long));
    await trained.until((event) => event.event === 'step');
    trained.process.kill(signal);
    const { code, events } = await trained.finished;
    expect([code, of(events, 'done')]).toMatchObject([0, [{ reason: 'stopped' }]]);
    expect(of(events, 'checkpoint')).toMatchObject([{ kind: 'requested' }]);
  });

  test('sampling changes nothing of the run', async () => {
    const { where: other } = await whole();
    const where = await place();
    const trained = await launch(trainer, jobFor(where, {}));
    for (let i = 0; i < 3; i++) trained.send({ command: 'sample', request: `${i}` });
    const { events } = await trained.finished;
    expect(of(events, 'sample')).toHaveLength(6);
    expect(await contents(checkpointPath(where, STEPS))).toEqual(
      await contents(checkpointPath(other, STEPS)),
    );
  });

  test('a trainer that nobody follows saves and leaves; one that is followed stays', async () => {
    const where = await place();
    const follow_file = join(where.folder, 'followed');
    const trained = await launch(
      trainer,
      jobFor(where, { ...long, orphan: { follow_file, after_seconds: 0.6 } }),
    );
    for (let i = 0; i < 12; i++) {
      await sleep(100);
      await utimes(follow_file, new Date(), new Date());
    }
    expect(isAlive(trained.process.pid)).toBe(true);
    const { code, events } = await trained.finished;
    expect([code, of(events, 'done')]).toMatchObject([0, [{ reason: 'orphaned' }]]);
    expect(of(events, 'checkpoint')).toMatchObject([{ step: of(events, 'step').at(-1)?.step }]);
  });
});

test('devices: our own kernels, and what ggml finds', async () => {
  const { stdout } = await execa(trainer, ['devices']);
  const { devices } = JSON.parse(stdout) as { devices: { kind: string }[] };
  expect(devices[0]).toMatchObject({ kind: 'cpu', description: expect.stringContaining('floats') });
  expect(devices.map(({ kind }) => kind)).toContain('ggml-cpu');
});

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
    const narrow = jobFor(await place(), { recipe: { base, model: { base_channels: 32 } } });
    expect(of((await run(trainer, narrow)).events, 'error')).toMatchObject([
      { code: 'CHECKPOINT_MISMATCH' },
    ]);
  });
});

describe('a full disk', () => {
  const mount = async (folder: string): Promise<boolean> => {
    await mkdir(folder, { recursive: true });
    const { failed, stderr } = await execa(
      'mount',
      ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', folder],
      { reject: false },
    );
    if (failed)
      console.warn(`not tested: a full disk needs a mount, which is not allowed here (${stderr})`);
    return !failed;
  };

  /** All room but for a job file. */
  const fill = async (file: string): Promise<void> => {
    const writing = writeFile(file, Buffer.alloc(16 << 20));
    await expect(writing).rejects.toMatchObject({ code: 'ENOSPC' });
    await truncate(file, (await stat(file)).size - (64 << 10));
  };

  test('training stops at the last good checkpoint, and goes on when there is room', async () => {
    const folder = join(root, 'small-disk');
    if (!(await mount(folder))) return;
    try {
      const { where: other } = await whole();
      const where = await newRun(folder, manifest);
      await train(where);
      const good = await contents(checkpointPath(where, STEPS));
      const trained = await launch(trainer, jobFor(where, secondEpoch(where)));
      await trained.until((event) => event.event === 'step');
      await fill(join(folder, 'filler'));
      const { code, events } = await trained.finished;
      expect([code, of(events, 'error')]).toMatchObject([73, [{ code: 'DISK_FULL', exit: 73 }]]);
      expect(of(events, 'checkpoint')).toEqual([]);
      expect(await readdir(join(folder, 'checkpoints'))).toEqual(['step-00000020']);
      expect(await contents(checkpointPath(where, STEPS))).toEqual(good);
      // While there is no room it says so at once, and doesn't train for nothing.
      const again = await run(trainer, jobFor(where, secondEpoch(where)));
      expect([again.code, of(again.events, 'step')]).toEqual([73, []]);
      await rm(join(folder, 'filler'));
      await train(where, secondEpoch(where));
      const end = checkpointPath(where, 2 * STEPS);
      expect(await contents(end)).toEqual(await contents(checkpointPath(other, 2 * STEPS)));
    } finally {
      await execa('umount', [folder]);
    }
  });

  test('the disk of the spool', async () => {
    const file = join(root, 'full.json');
    await writeFile(file, JSON.stringify(jobFor(await place(), {})));
    const shell = `exec "${trainer}" train --job "${file}" > /dev/full`;
    const { exitCode, stderr } = await execa('sh', ['-c', shell], {
      reject: false,
      stdin: 'ignore',
    });
    expect([exitCode, stderr]).toEqual([73, expect.stringContaining("can't write an event")]);
  });
});

describe('a job that cannot be done is refused before the first step', () => {
  const refusal = async (changes: JobChanges) => {
    const { code, events } = await run(trainer, jobFor(await place(), changes));
    expect(of(events, 'step')).toEqual([]);
    const [error] = of(events, 'error');
    expect(error?.exit).toBe(code);
    return `${code} ${error?.code} ${error?.message}`;
  };

  test('a prompt of a size that the U-Net cannot do', async () => {
    const prompts = [
      { text: 'red', negative: '', seed: 7 },
      { text: 'red', negative: '', seed: 7, width: 30, height: 16 },
    ];
    expect(await refusal({ recipe: { samples: { prompts } } })).toMatch(
      /^64 TRAINER_BAD_RECIPE recipe.samples.prompts\[1\] has 30x16 pixels.* multiples of 4$/,
    );
  });

  test('pictures of such a size', async () => {
    expect(
      await refusal({
        recipe: { model: { channel_multipliers: [1, 1, 1, 1, 1], attention_levels: [0] } },
      }),
    ).toMatch(
      /^64 TRAINER_BAD_RECIPE the pictures of the data set have 16x16 pixels.* multiples of 32$/,
    );
  });

  test('a data set that is not there, or is damaged', async () => {
    expect(await refusal({ data: { manifest: '/nowhere/manifest.json' } })).toMatch(
      /^65 TRAINER_BAD_DATA can't open \/nowhere/,
    );
    const folder = join(root, 'cut');
    await cp(join(root, 'data'), folder, { recursive: true });
    await writeFile(join(folder, 'pixels.u8'), Buffer.alloc(1000));
    expect(await refusal({ data: { manifest: join(folder, 'manifest.json') } })).toMatch(
      /^65 TRAINER_BAD_DATA .* names picture [0-9a-f]{16}, which is past the end of its pixels$/,
    );
  });

  test('a device that is not in this machine', async () => {
    expect(await refusal({ device: 'metal' })).toMatch(
      /^64 DEVICE_MISSING there is no device "metal"/,
    );
  });

  test('another protocol, a key that is missing', async () => {
    expect(await refusal({ protocol: 2 as 1 })).toMatch(/^64 TRAINER_BAD_RECIPE job.protocol is 2/);
    const job = jobFor(await place(), {});
    const { train: _, ...recipe } = job.recipe as Record<string, unknown>;
    const { code, events } = await run(trainer, { ...job, recipe });
    expect([code, of(events, 'error')[0]?.message]).toEqual([64, 'recipe.train is missing']);
  });
});
