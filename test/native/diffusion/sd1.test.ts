import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir, readFile, rm, writeFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildNative } from '../../../native/build.ts';
import { trace } from './harness.ts';
import { checkpointPath, contents, type JobChanges, newRun, type Place } from './job.ts';
import { of, run } from './launch.ts';
import {
  LORA_STEPS,
  makeSmallBase,
  sd1Job,
  type SmallBase,
  writeShapedData,
} from './small-base.ts';

let root = '';
let trainer = '';
let manifest = '';
let small: SmallBase;
let places = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tiller-sd1-'));
  trainer = (await buildNative('tiller-diffusion')).path;
  manifest = await writeShapedData(join(root, 'data'));
  small = await makeSmallBase(join(root, 'base.safetensors'));
}, 900_000);
afterAll(() => rm(root, { recursive: true, force: true }));

const place = (): Promise<Place> => newRun(join(root, `run-${places++}`), manifest);
const runJob = (where: Place, changes: JobChanges = {}, base = small) =>
  run(trainer, sd1Job(where, base, changes));
async function train(where: Place, changes: JobChanges = {}, base = small) {
  const finished = await runJob(where, changes, base);
  expect(finished).toMatchObject({ code: 0, stderr: '' });
  return finished.events;
}
const tensorsOf = async (file: string): Promise<string[]> => {
  const bytes = await readFile(file);
  const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString();
  return Object.keys(JSON.parse(header) as object).filter((name) => name !== '__metadata__');
};

describe('a LoRA on a Stable Diffusion 1.x base', () => {
  test('keeps the adapter alone, resumes to the same bits, with text encoder, buckets and accumulation', async () => {
    const [whole, torn] = [await place(), await place()];
    const straight = await train(whole, { epoch: 2, last_step: 2 * LORA_STEPS });
    const first = await train(torn, { last_step: 3 });
    const rest = await train(torn, {
      epoch: 2,
      first_step: 3,
      last_step: 2 * LORA_STEPS,
      resume: checkpointPath(torn, 3),
    });
    expect([...trace(first), ...trace(rest)]).toEqual(
      trace(straight).map((step, index) => (index < 3 ? { ...step, epoch: 1 } : step)),
    );
    const end = checkpointPath(whole, 2 * LORA_STEPS);
    const { 'state.json': _, ...files } = await contents(end);
    const { 'state.json': __, ...resumed } = await contents(checkpointPath(torn, 2 * LORA_STEPS));
    expect(resumed).toEqual(files);
    const names = await tensorsOf(join(end, 'weights.safetensors'));
    expect(names.every((name) => /\.lora_(down|up)\.weight$/.test(name))).toBe(true);
    expect(names.some((name) => name.startsWith('cond_stage_model.'))).toBe(true);
    expect(names.some((name) => name.includes('in_layers.2.lora_down'))).toBe(true);
  });

  test('learns: the held-out loss falls, and the samples change', async () => {
    const where = await place();
    const recipe = { train: { learning_rate: 0.01 } };
    const evaluate = async (step: number, resume: string | null) =>
      train(where, {
        stage: 'evaluate',
        epoch: step === 0 ? 0 : 9,
        first_step: step,
        last_step: step,
        resume,
        recipe,
      });
    const before = await evaluate(0, null);
    await train(where, { epoch: 9, last_step: 9 * LORA_STEPS, recipe });
    const after = await evaluate(9 * LORA_STEPS, checkpointPath(where, 9 * LORA_STEPS));
    const [was] = of(before, 'validation');
    const [is] = of(after, 'validation');
    expect(is!.loss).toBeLessThan(was!.loss);
    const [a, b] = [of(before, 'sample'), of(after, 'sample')];
    expect(a.map(({ width, height }) => [width, height])).toEqual([
      [16, 24],
      [64, 64],
    ]);
    expect(a.map(({ sha256 }) => sha256)).not.toEqual(b.map(({ sha256 }) => sha256));
  });

  test('without training it is its base, sample for sample', async () => {
    const adapted = await place();
    const plain = await place();
    const job = { stage: 'evaluate' as const, epoch: 0, first_step: 0, last_step: 0 };
    const samples = async (where: Place, recipe: Record<string, unknown>) =>
      of(await train(where, { ...job, recipe }), 'sample').map(({ sha256 }) => sha256);
    expect(await samples(adapted, {})).toEqual(await samples(plain, { lora: { rank: 1 } }));
  });
});

describe('latents', () => {
  test('are made once, and again where a file was damaged', async () => {
    const folder = join(root, 'latents');
    await rm(folder, { recursive: true, force: true });
    const recipe = { data: { crop: 'centre' } };
    const made = async () =>
      of(await train(await place(), { recipe }), 'progress').filter(
        ({ phase }) => phase === 'latents',
      ).length;
    expect(await made()).toBe(22); // eleven, and mirrored
    expect(await made()).toBe(0);
    const [sub] = (await readdir(folder)).sort();
    const [file] = await readdir(join(folder, sub!));
    const path = join(folder, sub!, file!);
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, whole.length - 100));
    expect(await made()).toBe(1);
    expect(await readFile(path)).toEqual(whole);
    const flipped = Buffer.from(whole);
    flipped[40]! ^= 1;
    await writeFile(path, flipped);
    expect(await made()).toBe(1);
  });

  test('go on where a kill interrupted them', async () => {
    const folder = join(root, 'latents');
    const files = async () => {
      const all = await readdir(folder, { recursive: true, withFileTypes: true });
      return all
        .filter((entry) => entry.isFile())
        .map(({ name, parentPath }) => join(parentPath, name))
        .sort();
    };
    await rm(folder, { recursive: true, force: true });
    const recipe = { data: { crop: 'centre' } };
    await train(await place(), { recipe });
    const whole = await files();
    const contents = await Promise.all(whole.map((file) => readFile(file)));
    // What a kill leaves: files that are whole, none of others, and one under the name it is written by.
    for (const file of whole.slice(9)) await rm(file);
    await writeFile(join(dirname(whole[0]!), '.half.tmp-1-1'), contents[0]!.subarray(0, 50));
    const events = await train(await place(), { recipe });
    expect(of(events, 'progress').filter(({ phase }) => phase === 'latents')).toHaveLength(13);
    expect(await Promise.all(whole.map((file) => readFile(file)))).toEqual(contents);
  });
});

describe('full fine-tuning', () => {
  test('trains the U-Net alone, and resumes to the same bits', async () => {
    const full = { lora: undefined, train: { text_encoder: false, optimizer: 'adamw8bit' } };
    const [whole, torn] = [await place(), await place()];
    await train(whole, { recipe: full });
    await train(torn, { last_step: 2, recipe: full });
    await train(torn, { first_step: 2, resume: checkpointPath(torn, 2), recipe: full });
    const end = checkpointPath(whole, LORA_STEPS);
    expect(await contents(checkpointPath(torn, LORA_STEPS))).toEqual(await contents(end));
    const names = await tensorsOf(join(end, 'weights.safetensors'));
    expect(names.every((name) => name.startsWith('model.diffusion_model.'))).toBe(true);
  });

  test('within the backward pass comes to the same bits as after it', async () => {
    const recipe = (fused_backward: boolean) => ({
      lora: undefined,
      train: { text_encoder: false, clip: 0, accumulation: 1, fused_backward },
    });
    const [after, within] = [await place(), await place()];
    const steps = async (where: Place, fused: boolean) =>
      of(await train(where, { recipe: recipe(fused) }), 'step').map(({ loss }) => loss);
    expect(await steps(within, true)).toEqual(await steps(after, false));
    expect(await contents(checkpointPath(within, LORA_STEPS))).toEqual(
      await contents(checkpointPath(after, LORA_STEPS)),
    );
  });
});

describe('other bases', () => {
  const job = { stage: 'evaluate' as const, epoch: 0, first_step: 0, last_step: 0 };
  const hashes = async (base: SmallBase, recipe: Record<string, unknown> = {}) =>
    of(await train(await place(), { ...job, recipe }, base), 'sample').map(({ sha256 }) => sha256);

  test('a diffusers folder is the same model as its single file', async () => {
    const folder = await makeSmallBase(join(root, 'folder'));
    expect(await hashes(folder)).toEqual(await hashes(small));
  });

  test('another autoencoder, by folder or by file', async () => {
    await makeSmallBase(join(root, 'other'), '4', 'epsilon', '2');
    const own = await hashes(small);
    const vae = (name: string) => hashes(small, { vae: join(root, name) });
    expect(await vae('folder/vae')).toEqual(own);
    expect(await vae('folder/vae/diffusion_pytorch_model.safetensors')).toEqual(own);
    expect(await vae('base.safetensors')).toEqual(own);
    expect(await vae('other')).not.toEqual(own);
  });

  test("v-prediction is the base's own word", async () => {
    const v = await makeSmallBase(join(root, 'v.safetensors'), '4', 'v');
    expect(await hashes(v)).not.toEqual(await hashes(small));
    expect(await hashes(v)).toEqual(await hashes(small, { train: { prediction: 'v' } }));
  });

  test('so is zero terminal SNR, of a file and of a folder, in training and in samples', async () => {
    const losses = async (base: SmallBase, how: Record<string, unknown> = {}) =>
      of(await train(await place(), { recipe: { train: how } }, base), 'step').map(
        ({ loss }) => loss,
      );
    const v = await makeSmallBase(join(root, 'plain-v.safetensors'), '4', 'v');
    const asked = { zero_terminal_snr: true };
    const trained = await losses(v, asked);
    const sampled = await hashes(v, { train: asked });
    expect(trained).not.toEqual(await losses(v));
    expect(sampled).not.toEqual(await hashes(v));
    for (const name of ['zero.safetensors', 'zero']) {
      const zero = await makeSmallBase(join(root, name), '4', 'v-zero');
      expect(await losses(zero)).toEqual(trained);
      expect(await hashes(zero)).toEqual(sampled);
      expect(await losses(zero, { zero_terminal_snr: false })).toEqual(await losses(v));
    }
  });

  test('zero terminal SNR of epsilon is not believed, and refused where it is asked for', async () => {
    const zero = await makeSmallBase(join(root, 'epsilon-zero'), '4', 'epsilon-zero');
    expect(await hashes(zero)).toEqual(await hashes(small));
    const events = await train(await place(), job, zero);
    expect(of(events, 'warning').map(({ code }) => code)).toContain('ZERO_SNR_UNUSED');
    const recipe = { train: { zero_terminal_snr: true } };
    const { code, stderr } = await runJob(await place(), { ...job, recipe });
    expect({ code, stderr }).toMatchObject({
      code: 64,
      stderr: expect.stringContaining(
        'needs prediction v, and the base predicts epsilon',
      ) as unknown,
    });
  });

  test('one for inpainting is sampled, and not trained', async () => {
    const inpainting = await makeSmallBase(join(root, 'inpainting.safetensors'), '9');
    expect(await hashes(inpainting)).toHaveLength(2);
    const { code, stderr } = await runJob(await place(), {}, inpainting);
    expect({ code, stderr }).toMatchObject({
      code: 65,
      stderr: expect.stringContaining('BASE_INPAINTING') as unknown,
    });
  });
});

describe('samples that are made at once', () => {
  const texts = ['cat', 'dog', `dog ${'and cat '.repeat(50)}`, 'a dog on a cat'];
  const prompts = [
    ...texts.map((text, seed) => ({ text, negative: '', seed })),
    { text: 'cat', negative: 'dog', seed: 5, width: 24, height: 16 },
    { text: 'dog', negative: '', seed: 6, width: 24, height: 16 },
    { text: 'dog', negative: '', seed: 7, steps: 3 },
  ];
  const made = async (samples: Record<string, unknown>) => {
    const job = { stage: 'evaluate' as const, epoch: 0, first_step: 0, last_step: 0 };
    const events = await train(await place(), {
      ...job,
      recipe: { samples: { prompts, ...samples } },
    });
    const inOrder = of(events, 'sample').toSorted((a, b) => a.prompt - b.prompt);
    return {
      hashes: inOrder.map(({ sha256 }) => sha256),
      turns: of(events, 'progress')
        .filter(({ phase }) => phase === 'samples')
        .map(({ done }) => done),
    };
  };

  test.each(['dpm++2m', 'euler-a'])('are those made alone, with %s', async (sampler) => {
    const alone = await made({ sampler });
    const together = await made({ sampler, batch: 3 });
    expect(alone.turns).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(together.turns).toEqual([3, 4, 6, 7]);
    expect(together.hashes).toEqual(alone.hashes);
    expect(new Set(alone.hashes).size).toBe(7);
  });
});

describe('samples that begin from a picture', () => {
  test('strength, masks and outpainting', async () => {
    const where = await place();
    const rgb = Buffer.alloc(16 * 16 * 3, 200);
    const half = Buffer.alloc(16 * 16, 255).fill(0, 0, 16 * 8);
    await writeFile(join(where.folder, 'p.rgb'), rgb);
    await writeFile(join(where.folder, 'p.mask'), half);
    const picture = { file: join(where.folder, 'p.rgb'), width: 16, height: 16 };
    const mask = { file: join(where.folder, 'p.mask'), width: 16, height: 16 };
    const job = sd1Job(where, small, { stage: 'evaluate', epoch: 0, first_step: 0, last_step: 0 });
    const prompts = [
      { text: 'cat', negative: '', seed: 1, picture, strength: 0.7 },
      { text: 'cat', negative: '', seed: 1, picture, mask, strength: 1 },
      {
        text: 'cat',
        negative: '',
        seed: 1,
        picture,
        outpaint: { left: 8, top: 0, right: 0, bottom: 8, overlap: 0 },
      },
    ];
    const recipe = { ...job.recipe, samples: { ...job.recipe.samples, prompts } };
    const { code, events, stderr } = await run(trainer, { ...job, recipe });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const samples = of(events, 'sample');
    expect(samples.map(({ width, height }) => [width, height])).toEqual([
      [16, 16],
      [16, 16],
      [24, 24],
    ]);
    expect(new Set(samples.map(({ sha256 }) => sha256)).size).toBe(3);
  });

  test('a mask of another size is refused', async () => {
    const where = await place();
    const picture = { file: '/unused', width: 16, height: 16 };
    const job = sd1Job(where, small, { stage: 'evaluate', epoch: 0, first_step: 0, last_step: 0 });
    const prompts = [{ text: '', negative: '', seed: 1, picture, mask: { ...picture, width: 8 } }];
    const recipe = { ...job.recipe, samples: { ...job.recipe.samples, prompts } };
    const { code, stderr } = await run(trainer, { ...job, recipe });
    expect({ code, stderr }).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('MASK_SIZE') as unknown,
    });
  });
});
