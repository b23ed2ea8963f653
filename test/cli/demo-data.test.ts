import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { prepareDataset, type PreparedDataset } from '../../activities/dataset/prepare.ts';
import { dataSettings } from '../activities/dataset/settings.ts';
import { type DemoData, demoPictures, writeDemoData } from '../../cli/demo-data.ts';

const root = mkdtempSync(join(tmpdir(), 'tiller-demo-data-'));
const folder = join(root, 'demo-data');
let demo: DemoData;
let prepared: PreparedDataset;

beforeAll(async () => {
  demo = await writeDemoData(folder);
  prepared = await prepareDataset({
    data: dataSettings({ folder, resolution: 32 }),
    seed: 42,
    datasetsFolder: join(root, 'datasets'),
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const fingerprint = () => {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort())
    hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
};

describe("the demo's data", () => {
  test('are 160 pictures, 150 to train on and 10 held out, and nothing is left out', () => {
    expect(demo.pictures).toBe(160);
    expect(prepared.problems).toEqual([]);
    expect(prepared.trainItems).toBe(150);
    expect(prepared.validationItems).toBe(10);
  });
  test('have the names of CLDR, lower case but for proper names', async () => {
    const names = (await demoPictures()).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('red heart');
    expect(names).not.toContain('heavy black heart');
    expect(names.filter((name) => /flag|vitamin/i.test(name))).toEqual([]);
    expect(prepared.items.map(({ captions }) => captions[0]?.text).sort()).toEqual(names.sort());
  });
  test("the recipe's prompts are names in it", async () => {
    const names = (await demoPictures()).map(({ name }) => name);
    const recipe = resolve(import.meta.dirname, '../../recipes/examples/demo.yaml');
    const { samples } = parse(readFileSync(recipe, 'utf8')) as { samples: { prompts: string[] } };
    expect(samples.prompts.filter((prompt) => !names.includes(prompt))).toEqual([]);
  });
  test('carry licence and notice', () => {
    expect(prepared.licence).toContain('Apache License');
    expect(prepared.licence).toContain('Noto Emoji');
    expect(demo.notice).toContain('Apache License');
  });
  test('are the same when written again, and a damaged file is mended', async () => {
    const before = fingerprint();
    const picture = join(folder, 'red-heart.png');
    const { mtimeMs } = statSync(picture);
    writeFileSync(join(folder, 'star.txt'), 'a stone');
    await writeDemoData(folder);
    expect(fingerprint()).toBe(before);
    expect(statSync(picture).mtimeMs).toBe(mtimeMs);
  });
});
