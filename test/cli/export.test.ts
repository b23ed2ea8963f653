/** The commands that write models, as they are called: on small models that the native test has left. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { migrate } from '../../db/migrate.ts';
import { buildNative } from '../../native/build.ts';
import { addRun, headerOf, makeModels, tensorsOf } from '../fixtures/exported-runs.ts';
import { bin, tiller } from './run-tiller.ts';

const home = mkdtempSync(join(tmpdir(), 'tiller-export-cli-'));
let models: string;
let base: string;
const to = (name: string) => join(home, 'out', name);
const size = (path: string) => readFileSync(path).length;

beforeAll(async () => {
  models = await makeModels(home);
  await buildNative('tiller-export');
  base = join(models, 'base.safetensors');
  migrate(homePaths(home).record);
  const db = openRecord(homePaths(home).record);
  const sd1 = { model: { architecture: 'sd1' as const }, base };
  const checkpoint = (name: string) => join(models, name);
  addRun(db, 'style', { ...sd1, lora: {} }, checkpoint('lora-run/step-00000007'), 7);
  addRun(db, 'whole', sd1, checkpoint('full-run/step-00000009'), 9);
  const taught = {
    ...sd1,
    vae: join(models, 'other', 'vae'),
    train: { prediction: 'v' as const, zero_terminal_snr: true },
  };
  addRun(db, 'styled', { ...taught, lora: {} }, checkpoint('lora-run/step-00000007'), 7);
  addRun(db, 'taught', taught, checkpoint('full-run/step-00000009'), 9);
  addRun(db, 'nothing', { ...sd1, lora: {} }, checkpoint('nothing-run/step-00000013'), 13);
  addRun(db, 'gone', sd1, checkpoint('gone'), 9);
  addRun(db, 'free', {}, checkpoint('full-run/step-00000009'), 9);
  db.close();
}, 600_000);

afterAll(() => rm(home, { recursive: true, force: true }));

describe('tiller export', () => {
  test('writes the LoRA of a run that trained one, and says what it changes', async () => {
    const { code, out, err } = await tiller(home, ['export', 'style@1', '--to', to('a')]);
    expect(err).toBe('');
    expect(out).toMatch(/a\/style-000001\.safetensors {2}\d+\.\d kB\nchanges a picture by \d/);
    expect(code).toBe(0);
    const again = await tiller(home, ['export', 'style@1', '--to', to('a')]);
    expect(again.err).toMatch(/is there already\. .*--force\. \[EXPORT_EXISTS\]$/);
    expect(again.code).toBe(2);
    const before = readFileSync(to('a/style-000001.safetensors'));
    expect((await tiller(home, ['export', 'style@1', '--to', to('a'), '--force'])).code).toBe(0);
    expect(readFileSync(to('a/style-000001.safetensors')).equals(before)).toBe(true);
  });
  test('--weights, --dtype and --json', async () => {
    const call = ['export', 'style@1', '--to', to('raw'), '--weights', 'raw', '--dtype', 'f32'];
    const { out } = await tiller(home, [...call, '--json']);
    const { files, difference } = JSON.parse(out) as {
      files: { path: string; sha256: string; bytes: number }[];
      difference: number;
    };
    expect(files).toHaveLength(1);
    expect(files[0]!.bytes).toBe(size(files[0]!.path));
    expect(difference).toBeGreaterThan(1);
    expect(files[0]!.bytes).toBeGreaterThan(1.2 * size(to('a/style-000001.safetensors')));
  });
  test('as PEFT has it, merged, and as a diffusers folder with a tokenizer', async () => {
    const call = ['export', 'style@1', '--to', to('b'), '--format'];
    expect((await tiller(home, [...call, 'peft'])).err).toBe('');
    expect((await tiller(home, [...call, 'merged'])).err).toBe('');
    const peft = headerOf(readFileSync(to('b/style-000001/pytorch_lora_weights.safetensors')));
    expect(peft.tensors).toContain('unet.mid_block.attentions.0.proj_in.lora_A.weight');
    expect(headerOf(readFileSync(to('b/style-000001.safetensors'))).tensors).toContain(
      'model.diffusion_model.out.2.weight',
    );
    const folder = ['export', 'whole@1', '--to', to('b'), '--format', 'diffusers'];
    expect(await tiller(home, folder)).toMatchObject({ code: 0, err: '' });
    expect(readdirSync(to('b/whole-000001')).sort()).toEqual([
      'model_index.json',
      'scheduler',
      'text_encoder',
      'tokenizer',
      'unet',
      'vae',
    ]);
    expect(readdirSync(to('b/whole-000001/tokenizer'))).toContain('merges.txt');
  });
  test.each([
    ['taught', 'single-file'],
    ['styled', 'merged'],
  ])('of %s as %s: with the autoencoder of its recipe, and how it is sampled', async (run, as) => {
    const call = ['export', `${run}@1`, '--to', to('v'), '--format', as];
    expect(await tiller(home, call)).toMatchObject({ code: 0, err: '' });
    const file = readFileSync(to(`v/${run}-000001.safetensors`));
    const autoencoder = tensorsOf(file, 'first_stage_model.');
    const other = readFileSync(join(models, 'other-F16.safetensors'));
    expect(Object.keys(autoencoder).length).toBeGreaterThan(50);
    expect(autoencoder).toEqual(tensorsOf(other, 'first_stage_model.'));
    const { metadata, tensors } = headerOf(file);
    expect(tensors).toEqual(expect.arrayContaining(['v_pred', 'ztsnr']));
    expect(metadata).toMatchObject({ ss_vae_name: 'vae', ss_zero_terminal_snr: 'True' });
    const folder = ['export', `${run}@1`, '--to', to('v'), '--format', 'diffusers'];
    expect(await tiller(home, folder)).toMatchObject({ code: 0, err: '' });
    const read = (name: string) =>
      JSON.parse(readFileSync(to(`v/${run}-000001/${name}`), 'utf8')) as unknown;
    expect(read('scheduler/scheduler_config.json')).toMatchObject({
      prediction_type: 'v_prediction',
      rescale_betas_zero_snr: true,
      timestep_spacing: 'trailing',
    });
    expect(read('vae/config.json')).toMatchObject({ scaling_factor: 0.5, norm_num_groups: 2 });
  });
  test('without one, with its base’s', async () => {
    const call = ['export', 'whole@1', '--to', to('w'), '--dtype', 'f32'];
    expect((await tiller(home, call)).err).toBe('');
    const file = readFileSync(to('w/whole-000001.safetensors'));
    const its = tensorsOf(readFileSync(base), 'first_stage_model.');
    expect(tensorsOf(file, 'first_stage_model.')).toEqual(its);
    expect(headerOf(file).tensors).not.toContain('v_pred');
    expect(headerOf(file).metadata['ss_zero_terminal_snr']).toBe('False');
  });
  test.each([
    [['export', 'style', '--to', 'x'], 'Name the epoch', 'USAGE', 2],
    [['export', 'style@1'], "'--to <folder>' not specified", 'USAGE', 2],
    [['export', 'style@1', '--to', 'x', '--format', 'ckpt'], 'single-file, diffusers', 'USAGE', 2],
    [['export', 'style@1', '--to', 'x', '--dtype', 'f8'], 'f16, bf16, f32', 'USAGE', 2],
    [['export', 'stile@1', '--to', 'x'], 'Did you mean style?', 'RUN_NOT_FOUND', 2],
    [['export', 'style@2', '--to', 'x'], 'It has 0 to 1', 'EPOCH_NOT_FOUND', 2],
    [['export', 'style@0', '--to', 'x'], 'untouched base', 'REQUEST_REFUSED', 1],
    [['export', 'gone@1', '--to', 'x'], 'is not kept', 'REQUEST_REFUSED', 1],
    [['export', 'whole@1', '--to', 'x', '--format', 'lora'], 'extract', 'EXPORT_FORMAT', 2],
    [['export', 'free@1', '--to', 'x', '--format', 'diffusers'], 'own', 'EXPORT_FORMAT', 2],
    [['export', 'free@1', '--to', 'x', '--dtype', 'f16'], 'f32', 'EXPORT_FORMAT', 2],
    [['extract', 'a', 'b', '--to', 'x'], 'does not end in .safetensors', 'USAGE', 2],
    [['extract', 'a', 'b', '--to', 'x', '--rank', '0'], 'Give an integer', 'USAGE', 2],
    [['merge', 'a', 'b', '--to', 'x', '--scale', 'much'], 'Give a number', 'USAGE', 2],
  ])('%j', async (call, expected, kind, exit) => {
    const inside = call.map((word) => (word === 'x' ? join(home, 'nowhere') : word));
    const { code, out, err } = await tiller(home, inside);
    expect(err).toContain(expected);
    expect(err.endsWith(`[${kind}]`)).toBe(true);
    expect(err.split('\n')).toHaveLength(1);
    expect([out, code]).toEqual(['', exit]);
    expect(existsSync(join(home, 'nowhere'))).toBe(false);
  });
  test('a LoRA that does nothing leaves no file', async () => {
    const { code, err } = await tiller(home, ['export', 'nothing@1', '--to', to('c')]);
    expect(err).toMatch(/is the same as without .*\[EXPORT_DOES_NOTHING\]$/);
    expect([code, readdirSync(to('c'))]).toEqual([1, []]);
  });
  test('a folder that cannot be made', async () => {
    writeFileSync(join(home, 'file'), '');
    const { code, err } = await tiller(home, ['export', 'style@1', '--to', join(home, 'file/x')]);
    expect(err).toMatch(/cannot be written \(ENOTDIR\).*\[EXPORT_FOLDER\]$/);
    expect(code).toBe(2);
  });
});

describe('tiller extract and merge', () => {
  test('a full disk leaves nothing', async () => {
    // A limit on the size of files is the disk's end for a process.
    const lora = join(models, 'F32.safetensors');
    const call = `trap '' XFSZ; ulimit -f 20; exec "${bin}" merge "${base}" "${lora}" --to "${to('d/x.safetensors')}"`;
    const env = { TILLER_HOME: home };
    const { exitCode, stderr } = await execa('bash', ['-c', call], { env, reject: false });
    expect(stderr).toMatch(/nothing was written\. \[DISK_FULL\]$/);
    expect([exitCode, readdirSync(to('d'))]).toEqual([1, []]);
  });
  test('what is extracted and merged again is the fine-tune', async () => {
    const tuned = join(models, 'merged.safetensors');
    const extract = ['extract', base, tuned, '--to', to('e.safetensors'), '--rank', '4'];
    const { out, err } = await tiller(home, extract);
    expect(err).toBe('');
    expect(out).toContain('keeps 100.0 % of the difference');
    const merge = ['merge', base, to('e.safetensors'), '--to', to('f'), '--dtype', 'f32'];
    expect(await tiller(home, merge)).toMatchObject({ code: 0, err: '' });
    expect(readdirSync(to('f'))).toContain('model_index.json');
    expect((await tiller(home, [...merge])).err).toMatch(/\[EXPORT_EXISTS\]$/);
    expect((await tiller(home, [...merge, '--force', '--scale', '0.5'])).code).toBe(0);
  });
  test('what a LoRA does not hold is said', async () => {
    const tuned = join(models, 'full.safetensors');
    const call = ['extract', base, tuned, '--to', to('g.safetensors'), '--rank', '2'];
    expect((await tiller(home, call)).err).toMatch(/^\d+ tensors that differ, such as .*norms/);
  });
  test.each([
    ['merge', ['nowhere.safetensors', 'F32.safetensors'], 'BASE_NOT_FOUND'],
    ['merge', ['base.safetensors', 'nowhere.safetensors'], 'LORA_NOT_FOUND'],
    ['merge', ['base.safetensors', 'base.safetensors'], 'LORA_KIND'],
    ['merge', ['F32.safetensors', 'F32.safetensors'], 'BASE_LORA'],
    ['extract', ['base.safetensors', 'base.safetensors'], 'EXPORT_DOES_NOTHING'],
  ])('%s %j', async (command, files, kind) => {
    const paths = files.map((name) => join(models, name));
    const call = [command, ...paths, '--to', to('none.safetensors')];
    const { code, err } = await tiller(home, call);
    expect(err.endsWith(`[${kind}]`)).toBe(true);
    expect(code).toBe(1);
    expect(existsSync(to('none.safetensors'))).toBe(false);
  });
});
