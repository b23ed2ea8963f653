import { execFileSync } from 'node:child_process';
import { link, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { homePaths } from '../../db/home.ts';
import { glance, preview, startTrainer, type MakingTrainer } from '../fixtures/making.ts';
import { addSamples } from '../fixtures/seed-record.ts';
import { seededPages } from './pages.ts';

let pages: Awaited<ReturnType<typeof seededPages>>;
let trainer: MakingTrainer;
let file: string;
beforeAll(async () => {
  pages = await seededPages();
});
afterAll(() => pages.close());
beforeEach(async () => {
  trainer = startTrainer(pages.db, pages.home, pages.seeded.training);
  file = join(trainer.folder, 'preview-p3.png');
  await glance(file);
  trainer.say(preview(file));
});
afterEach(async () => {
  trainer.end();
  await rm(dirname(trainer.folder), { recursive: true, force: true });
});

const address = (key = `${trainer.launch}-11-3`, run = pages.seeded.training): string =>
  `/runs/${run}/previews/${key}`;
const status = async (path = address()): Promise<number> => (await pages.get(path)).status;

/** What the stream of a run says first of what its trainer does. */
const streamed = async (run = pages.seeded.training): Promise<Record<string, unknown>> => {
  const response = await pages.get(`/live?run=${run}&after=999999`);
  const reader = response.body!.getReader();
  let heard = '';
  while (!heard.includes('event: progress'))
    heard += new TextDecoder().decode((await reader.read()).value);
  await reader.cancel();
  const data = /event: progress\ndata: (.*)/.exec(heard)?.[1] ?? '[]';
  return (JSON.parse(data) as Record<string, unknown>[])[0]!;
};

describe('the picture of a sample in the making', () => {
  test('is sent, as often as it is asked for, and kept by nobody', async () => {
    const response = await pages.get(`${address()}?at=6`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('image/webp');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const { width, height } = await sharp(Buffer.from(await response.arrayBuffer())).metadata();
    expect([width, height]).toEqual([32, 32]);
  });

  test('is no larger than a thumbnail', async () => {
    await glance(file, '#123', 1024);
    const body = Buffer.from(await (await pages.get(address())).arrayBuffer());
    expect((await sharp(body).metadata()).width).toBe(256);
  });

  test('is none any more when the sample is there, the trainer is gone, or it makes another', async () => {
    trainer.say(preview(file, { prompt: 4 } as object));
    expect(await status()).toBe(204);
    trainer.say(preview(file), { event: 'done' });
    expect(await status()).toBe(204);
    trainer.say(preview(file));
    expect(await status()).toBe(200);
    const pid = pages.db.raw.prepare(`UPDATE launch SET process_start = ? WHERE id = ?`);
    pid.run('another boot', trainer.launch);
    expect(await status()).toBe(204);
    expect((await streamed())['making']).toBeNull();
  });

  test('is not sent when it was over by the time that it was read', async () => {
    // Large enough to be decoded for a while.
    await glance(file, '#456', 4000);
    const begun = performance.now();
    expect(await status()).toBe(200);
    const took = performance.now() - begun;
    const answer = status();
    await new Promise((resolve) => setTimeout(resolve, took / 3));
    trainer.say({ event: 'done' });
    expect(await answer).toBe(204);
  });

  test('is only its run’s own', async () => {
    expect(await status(address(undefined, pages.seeded.done))).toBe(204);
    expect(await status(address(undefined, 'nobody'))).toBe(404);
    for (const key of ['..', '%2e%2e', '..%2f..%2ftiller.db', 'preview-p3.png', '1-1', '1-1-1-1'])
      expect(await status(address(key))).toBe(404);
  });
});

/** Names in the record that ingest would not have written. */
const nameInRecord = (picture: string): void => {
  pages.db.raw
    .prepare(`UPDATE launch SET preview = json_set(preview, '$.picture', ?) WHERE id = ?`)
    .run(picture, trainer.launch);
};

describe('no file is sent but a plain, small, whole PNG of the samples folder', () => {
  const secret = () => join(pages.home, 'secret.png');
  beforeEach(() => glance(secret()));

  test.each(['../../../secret.png', '..%2fsecret.png', '/etc/passwd', 'step-1.png', '.', ''])(
    'not %s',
    async (name) => {
      await glance(join(trainer.folder, 'step-1.png'));
      nameInRecord(name);
      expect(await status()).toBe(204);
    },
  );

  test('not through a link', async () => {
    await rm(file);
    await symlink(secret(), file);
    expect(await status()).toBe(204);
    await rm(file);
    await link(secret(), file);
    expect(await status()).toBe(204);
  });

  test('not through a folder that is a link, to another run’s samples or elsewhere', async () => {
    const other = join(homePaths(pages.home).runs, pages.seeded.done, 'samples');
    await mkdir(other, { recursive: true });
    await rename(file, join(other, 'preview-p3.png'));
    await rm(trainer.folder, { recursive: true });
    await symlink(other, trainer.folder);
    expect(await status()).toBe(204);
  });

  test('not a pipe, at which it would wait for ever, nor a folder', async () => {
    await rm(file);
    execFileSync('mkfifo', [file]);
    expect(await status()).toBe(204);
    await rm(file);
    await mkdir(file);
    expect(await status()).toBe(204);
    await rm(file, { recursive: true });
    expect(await status()).toBe(204);
  });

  test('not what is too large, or no PNG', async () => {
    await writeFile(
      file,
      Buffer.concat([await readFile(secret()), Buffer.alloc(17 * 1024 * 1024)]),
    );
    expect(await status()).toBe(204);
    await writeFile(file, '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    expect(await status()).toBe(204);
    await writeFile(file, '');
    expect(await status()).toBe(204);
  });

  test('not half of one, nor two halves', async () => {
    const noise = (seed: number): Promise<Buffer> =>
      sharp(
        Buffer.from(Array.from({ length: 48 * 48 * 3 }, (_, i) => (i * seed * 2_654_435) >> 7)),
        {
          raw: { width: 48, height: 48, channels: 3 },
        },
      )
        .png()
        .toBuffer();
    const [one, two] = await Promise.all([noise(3), noise(7)]);
    await writeFile(file, one);
    expect(await status()).toBe(200);
    await writeFile(file, one.subarray(0, one.length - 200));
    expect(await status()).toBe(204);
    const half = two.length >> 1;
    await writeFile(file, Buffer.concat([two.subarray(0, half), one.subarray(half)]));
    expect(await status()).toBe(204);
  });
});

describe('the page of the run', () => {
  const page = async (): Promise<string> =>
    (await (await pages.get(`/runs/${pages.seeded.training}`)).text()).replaceAll(/\s+/g, ' ');

  test('keeps a row for the next samples, and has one for those on request', async () => {
    expect(await page()).toContain('data-cell="samples-11-1650-e/3"');
    trainer.end();
    trainer = startTrainer(pages.db, pages.home, pages.seeded.training, { stage: 'train' });
    trainer.say(preview(file, { step: 1530 } as object));
    expect(await page()).toContain('id="samples-11-1530-r"');
    expect(await (await pages.get(`/runs/${pages.seeded.done}`)).text()).not.toContain('data-cell');
  });

  test('hears of it by the stream of its run alone', async () => {
    expect((await streamed())['making']).toMatchObject({
      row: 'samples-11-1650-e',
      prompt: 3,
      words: 'sampling 6 of 20',
      alt: 'Preview of star, epoch 11',
      picture: `${address()}?at=6`,
    });
    expect((await streamed(pages.seeded.done))['making']).toBeNull();
  });

  test('says what the trainer does, and what memory it planned', async () => {
    const parts = [{ name: 'optimizer <b>', bytes: 820e6 }];
    trainer.say(
      { event: 'progress', phase: 'latents', done: 12, total: 1200 },
      { event: 'memory', total_bytes: 3.44e9, available_bytes: 16e9, parts },
    );
    const text = await page();
    expect(text).toContain('data-field="doing">preparing latents 12 of 1,200<');
    expect(text).toContain('3.4 GB planned to evaluate epoch 11, of 16 GB that were free');
    expect(text).toMatch(/optimizer &lt;b&gt;<\/th> <td class="figure">820 MB/);
    const host = { total_bytes: 5e9, parts: [{ name: 'average', bytes: 4e9 }] };
    trainer.say({ event: 'memory', total_bytes: 6e9, parts, host, nodes: 8123, splits: 1 });
    const both = await page();
    expect(both).toContain('; of the host 5 GB');
    expect(both).toMatch(/average<\/th> <td class="figure">4 GB/);
    expect(both).toMatch(/8,123 nodes in\s+1 split/);
    trainer.end();
    expect(await page()).not.toContain('preparing latents');
  });

  test('has the sample in the place of what was made', async () => {
    await addSamples(pages.db, pages.home, pages.seeded.training, { epoch: 11, step: 1650 });
    expect(await page()).not.toContain('data-cell="samples-11-1650-e');
  });
});
