import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { pino } from 'pino';
import type { Deps } from '../../../activities/deps.ts';
import { createActivities } from '../../../activities/index.ts';
import { openRecord, type Db } from '../../../db/connection.ts';
import { eventsAfter } from '../../../db/events.ts';
import { homePaths } from '../../../db/home.ts';
import { migrate } from '../../../db/migrate.ts';
import type { RecipeInput } from '../../../recipes/schema.ts';
import { addDataset, addRun, headerOf, makeModels } from '../../fixtures/exported-runs.ts';

let home: string;
let models: string;
let db: Db;
let deps: Deps;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'tiller-export-run-'));
  migrate(homePaths(home).record);
  db = openRecord(homePaths(home).record);
  deps = { db, home, env: process.env, log: pino({ level: 'silent' }), owner: 'test' };
  models = await makeModels(home);
}, 300_000);

afterAll(async () => {
  db.close();
  await rm(home, { recursive: true, force: true });
});

const sd1 = (): RecipeInput => ({
  model: { architecture: 'sd1' },
  base: join(models, 'base.safetensors'),
});

async function exported(run: string) {
  await new MockActivityEnvironment().run(createActivities(deps).exportRun, run);
  const folder = join(homePaths(home).runs, run, 'exports');
  const files = readdirSync(folder).sort();
  const said = eventsAfter(db, 0, run).filter(({ kind }) => kind === 'export');
  return { files, said, header: (name: string) => headerOf(readFileSync(join(folder, name))) };
}

/** A checkpoint's folder with a file of two numbers. */
function checkpoint(name: string, state: object | undefined, text?: string): string {
  const folder = join(home, name);
  mkdirSync(folder, { recursive: true });
  const header = JSON.stringify({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const numbers = Buffer.from(new Float32Array([1, 2]).buffer);
  const bytes = Buffer.concat([length, Buffer.from(header), numbers]);
  for (const file of ['weights', 'ema'])
    writeFileSync(join(folder, `${file}.safetensors`), text ?? bytes);
  if (state !== undefined) writeFileSync(join(folder, 'state.json'), JSON.stringify(state));
  return folder;
}

describe('at the end of a run', () => {
  test('a LoRA is written for other programs, with what it was trained on', async () => {
    const recipe = { ...sd1(), lora: {}, data: { folder: '/pictures', layout: 'kohya' as const } };
    const path = join(models, 'lora-run', 'step-00000007');
    const { id } = addRun(db, 'barn', recipe, path, 7);
    addDataset(db, id, join(home, 'set'));
    const { files, said, header } = await exported(id);
    expect(files).toEqual(['barn-000001.safetensors']);
    expect(said).toHaveLength(1);
    const { metadata, tensors } = header(files[0]!);
    expect(tensors).toContain('lora_unet_mid_block_attentions_0_proj_in.lora_down.weight');
    expect(metadata).toMatchObject({
      ss_network_module: 'networks.lora',
      ss_network_dim: '4',
      ss_network_alpha: '2',
      ss_base_model_version: 'sd_v1',
      ss_sd_model_name: 'base.safetensors',
      ss_steps: '7',
      ss_epoch: '1',
      ss_seed: '42',
      ss_learning_rate: '0.0001',
      ss_resolution: '(512, 512)',
      ss_num_train_images: '22',
      ss_num_reg_images: '1',
      'modelspec.sai_model_spec': '1.0.0',
      'modelspec.architecture': 'stable-diffusion-v1/lora',
      'modelspec.title': 'barn',
      'modelspec.date': '2023-11-14T22:13:20.000Z',
      'modelspec.resolution': '512x512',
    });
    const parsed = (key: string) => JSON.parse(metadata[key]!) as unknown;
    expect(parsed('ss_tag_frequency')).toEqual({
      '10_red barn': { 'red barn': 2, snow: 2, night: 1 },
      '2_sky': { sky: 1 },
    });
    expect(parsed('ss_dataset_dirs')).toEqual({
      '10_red barn': { n_repeats: 10, img_count: 2 },
      '2_sky': { n_repeats: 2, img_count: 1 },
    });
    expect(parsed('ss_bucket_info')).toEqual({
      buckets: {
        0: { resolution: [512, 512], count: 13 },
        1: { resolution: [640, 384], count: 10 },
      },
    });
    expect(JSON.stringify(metadata)).not.toContain(home);
    await exported(id); // an attempt that came again
  }, 300_000);

  test('a fine-tune is written as one file', async () => {
    const path = join(models, 'full-run', 'step-00000009');
    const { files, header } = await exported(addRun(db, 'whole', sd1(), path, 9).id);
    expect(files).toEqual(['whole-000001.safetensors']);
    const { tensors, metadata } = header(files[0]!);
    expect(tensors).toContain('first_stage_model.decoder.conv_in.weight');
    expect(metadata['modelspec.architecture']).toBe('stable-diffusion-v1');
  });

  test('a model of free sizes is copied with what a base needs', async () => {
    const state = { version: 1, trainer: 'tiller-diffusion', model: { a: 1 }, vocabulary: ['é'] };
    const latent = { mean: [0.5], deviation: 2 };
    const path = checkpoint('free', { ...state, latent, width: 32, height: 16, step: 5 });
    const { id } = addRun(db, 'free', {}, path, 5);
    const { files, header } = await exported(id);
    expect(files).toEqual(['free-000001-ema.safetensors', 'free-000001.safetensors']);
    const { metadata, tensors } = header(files[1]!);
    expect(tensors).toEqual(['w']);
    expect(JSON.parse(metadata['tiller.state']!)).toEqual({
      ...state,
      latent,
      width: 32,
      height: 16,
    });
    const bytes = readFileSync(join(homePaths(home).runs, id, 'exports', files[1]!));
    expect(Number(bytes.readBigUInt64LE()) % 8).toBe(0);
    expect([bytes.readFloatLE(bytes.length - 8), bytes.readFloatLE(bytes.length - 4)]).toEqual([
      1, 2,
    ]);
  });

  test('what a trainer of someone’s own keeps is copied as it is', async () => {
    const path = checkpoint('own', undefined, 'no safetensors');
    const { id } = addRun(db, 'own', { trainer: { command: ['x'] } }, path, 5);
    const { files } = await exported(id);
    expect(readFileSync(join(homePaths(home).runs, id, 'exports', files[1]!), 'utf8')).toBe(
      'no safetensors',
    );
  });

  test('a LoRA that does nothing is said, and the run is done all the same', async () => {
    const recipe = { ...sd1(), lora: {} };
    const path = join(models, 'nothing-run', 'step-00000013');
    const { files, said } = await exported(addRun(db, 'nothing', recipe, path, 13).id);
    expect(files).toEqual([]);
    expect(said.map(({ code }) => code)).toEqual(['EXPORT_DOES_NOTHING']);
  });

  test('a damaged checkpoint fails by name', async () => {
    const path = checkpoint('damaged', undefined, 'cut');
    const { id } = addRun(db, 'damaged', {}, path, 5);
    await expect(exported(id)).rejects.toMatchObject({ type: 'CHECKPOINT_CORRUPT' });
  });
});
