import { describe, expect, test } from '@jest/globals';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secondEpoch, useTrainer } from './harness.ts';
import { checkpointPath, type JobChanges, jobFor, replaceFile, STEPS } from './job.ts';
import { of, run } from './launch.ts';

interface OddManifest {
  train: object[];
  validation: object[];
}

const { path, program, place, runJob, whole } = useTrainer();

describe('a checkpoint that does not fit is refused by name', () => {
  const broken = async (spoil: (checkpoint: string) => Promise<void>, changes: JobChanges = {}) => {
    const { where: other } = await whole();
    const where = await place();
    const checkpoint = checkpointPath(where, STEPS);
    await cp(checkpointPath(other, STEPS), checkpoint, { recursive: true });
    await spoil(checkpoint);
    const { code, events } = await runJob(where, { ...secondEpoch(where), ...changes });
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

  test.each([
    ['width', 0],
    ['width', 2 ** 32 + 16],
    ['step', 2.5],
    ['seen', -1],
    ['learning_rate_factor', 0],
  ])('its state has the %s %d', async (key, value) => {
    const { code, says } = await broken(async (checkpoint) => {
      const state = JSON.parse(await readFile(join(checkpoint, 'state.json'), 'utf8')) as object;
      const spoiled = Buffer.from(JSON.stringify({ ...state, [key]: value }));
      await replaceFile(checkpoint, 'state.json', spoiled);
    });
    expect([code, says]).toEqual([
      65,
      expect.stringMatching(`^CHECKPOINT_CORRUPT .*state.json has an? .*${key}`),
    ]);
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
      /^CHECKPOINT_MISMATCH .*another architecture: it has \S*encoder.layers.0\S*, which this model lacks or doesn.t train/,
    );
  });
});

describe('a job that cannot be done is refused before the first step', () => {
  const refusal = async (changes: JobChanges) => {
    const { code, events } = await runJob(await place(), changes);
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

  test('F16 on a device', async () => {
    const recipe = { train: { precision: 'f16' } };
    expect(await refusal({ device: 'ggml-cpu', recipe })).toMatch(
      /^64 TRAINER_BAD_RECIPE recipe.train.precision is f16, in which sums can overflow on a device$/,
    );
  });

  test('prompts to sample that are no indices', async () => {
    expect(await refusal({ sample_prompts: [1, -1] })).toMatch(
      /^64 TRAINER_BAD_RECIPE job.sample_prompts has -1, which is not a prompt's index$/,
    );
  });

  test('pictures of such a size', async () => {
    expect(
      await refusal({
        recipe: { model: { channel_multipliers: [1, 1, 1, 1, 1], attention_levels: [0] } },
      }),
    ).toMatch(
      /^64 TRAINER_BAD_RECIPE the data set has a picture of 16x16 pixels.* multiples of 32$/,
    );
  });

  test('a data set that is not there, or is damaged', async () => {
    expect(await refusal({ data: { manifest: '/nowhere/manifest.json' } })).toMatch(
      /^65 TRAINER_BAD_DATA can't open \/nowhere/,
    );
    const folder = path('cut');
    await cp(path('data'), folder, { recursive: true });
    await writeFile(join(folder, 'pixels.u8'), Buffer.alloc(1000));
    expect(await refusal({ data: { manifest: join(folder, 'manifest.json') } })).toMatch(
      /^65 TRAINER_BAD_DATA .* names picture [0-9a-f]{16}, which is past the end of its pixels$/,
    );
  });

  const spoiled = async (change: (set: OddManifest) => object): Promise<string> => {
    const folder = path('odd');
    await cp(path('data'), folder, { recursive: true });
    const manifest = join(folder, 'manifest.json');
    const good = JSON.parse(await readFile(manifest, 'utf8')) as OddManifest;
    await writeFile(manifest, JSON.stringify({ ...good, ...change(good) }));
    return refusal({ data: { manifest } });
  };

  test.each([
    [{ version: 1 }, 'is of the unknown version 1$'],
    [{ pixels: '../data/pixels.u8' }, 'names pixels outside its folder$'],
    [{ masks: '/etc/passwd' }, 'names masks outside its folder$'],
    [{ train: {} }, 'has pictures that are not in a list$'],
    [{ train: [] }, 'has no picture to train on$'],
  ])('a manifest with %j', async (changes, says) => {
    expect(await spoiled(() => changes)).toMatch(
      new RegExp(`^65 TRAINER_BAD_DATA \\S*manifest.json ${says}`),
    );
  });

  test.each([
    [
      { width: 2 ** 32 + 16 },
      '/manifest.json gives picture \\w{16} an impossible width, 4294967312',
    ],
    [{ height: 0 }, '/manifest.json gives picture \\w{16} an impossible height, 0'],
    [{ bucket: [8, -8] }, '/manifest.json gives picture \\w{16} an impossible bucket height, -8'],
    [{ bucket: [16] }, "/manifest.json can't be read: .*"],
    [{ bucket: [32, 16] }, '/manifest.json has a picture that does not cover its bucket: \\w{16}'],
    [{ repeats: 0 }, '/manifest.json gives picture \\w{16} an impossible number of repeats, 0'],
    [{ offset: -1 }, '/manifest.json names picture \\w{16}, which is past the end of its pixels'],
    [{ offset: 23 * 768 + 1 }, '/manifest.json names picture \\w{16}, which is past the .* pixels'],
    [{ mask_offset: 0 }, '/manifest.json has a mask and no masks: \\w{16}'],
    [{ captions: [] }, '/manifest.json has a picture without a caption: \\w{16}'],
    [{ key: 'F'.repeat(16) }, '/manifest.json has the key "F{16}", which is not 16 hex digits'],
  ])('a picture with %j', async (changes, says) => {
    const last = (set: OddManifest) => ({
      train: [...set.train.slice(0, -1), { ...set.train.at(-1), ...changes }],
    });
    expect(await spoiled(last)).toMatch(new RegExp(`^65 TRAINER_BAD_DATA \\S*${says}$`));
  });

  test('a mask that is past the end of the masks', async () => {
    await cp(path('data'), path('odd'), { recursive: true });
    await writeFile(join(path('odd'), 'masks.u8'), Buffer.alloc(255));
    const masked = (set: OddManifest) => ({
      masks: 'masks.u8',
      train: [{ ...set.train[0], mask_offset: 0 }],
    });
    expect(await spoiled(masked)).toMatch(
      /^65 TRAINER_BAD_DATA \S*manifest.json names picture \w{16}, which is past the end of its masks$/,
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
    const { code, events } = await run(program(), { ...job, recipe });
    expect([code, of(events, 'error')[0]?.message]).toEqual([64, 'recipe.train is missing']);
    expect(await refusal({ fingerprint: 'r' as never })).toMatch(
      /^64 TRAINER_BAD_RECIPE job.fingerprint is not an object$/,
    );
  });

  test('a number that the recipe language would have refused', async () => {
    const job = jobFor(await place(), {});
    const { train, ...recipe } = job.recipe as Record<string, object>;
    for (const key of ['beta1', 'beta2', 'beta_start', 'beta_end']) {
      const wrong = { ...job, recipe: { ...recipe, train: { ...train, [key]: 1 } } };
      const { code, events } = await run(program(), wrong);
      expect([code, of(events, 'error')[0]?.message]).toEqual([
        64,
        `recipe.train.${key} must be below 1`,
      ]);
    }
  });
});
