import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { saveCheckpoint } from '../../db/checkpoints.ts';
import { addPrompt, dropPrompt } from '../../db/prompts.ts';
import { type Pages, seededPages } from './pages.ts';

/** Epoch 10 of a run that is done has its checkpoint, and not the sample of a prompt that came later. */
let pages: Awaited<ReturnType<typeof seededPages>>;
let run: string;
let position: number;
beforeAll(async () => {
  pages = await seededPages();
  run = pages.seeded.done;
  const kept = { path: '/x', sha256: 'x', bytes: 1, kind: 'epoch' };
  saveCheckpoint(pages.db, { run, epoch: 10, step: 1500, ...kept });
  position = addPrompt(pages.db, run, { text: 'a lighthouse', negative: '', seed: 7 }, Date.now());
});
afterAll(() => pages.close());

const text = async (path: string, on: Pages = pages): Promise<string> =>
  (await (await on.get(path)).text()).replace(/\s+/g, ' ');

const offered = (page: string): string[] =>
  [...page.matchAll(/data-verb="make" data-epoch="(\d+)" data-prompt="(\d+)"/g)].map(
    ([, epoch, prompt]) => `${epoch}: ${prompt}`,
  );

describe('a sample that is not there', () => {
  test('can be made where the weights are kept: at epoch 0 and at 10', async () => {
    const page = await text(`/runs/${run}`);
    expect(offered(page)).toEqual([`0: ${position}`, `10: ${position}`]);
    expect(page).toMatch(
      /aria-label="a lighthouse, not sampled at epoch 10: Make it \(about 5 s\)"/,
    );
  });

  test('is not offered for a prompt that was dropped', async () => {
    const other = addPrompt(pages.db, run, { text: 'gone', negative: '', seed: 7 }, Date.now());
    expect(offered(await text(`/runs/${run}`))).toContain(`10: ${other}`);
    dropPrompt(pages.db, run, other);
    expect(offered(await text(`/runs/${run}`))).not.toContain(`10: ${other}`);
  });

  test('is offered on the compare page to the side that lacks it', async () => {
    pages.db.raw
      .prepare(
        `INSERT INTO sample SELECT 'made-at-zero', run, epoch, step, ?, 7, sampler, sampling_steps, guidance,
           32, 32, weights, checkpoint, artifact, request, created_at
         FROM sample WHERE run = ? AND epoch = 0 LIMIT 1`,
      )
      .run(`${run}-${position}`, run);
    const page = await text(`/compare?a=${run}@0&b=${run}@10`);
    const [, data = ''] = /data-stage="([^"]*)"/.exec(page) ?? [];
    const { pairs } = JSON.parse(data.replaceAll('&quot;', '"')) as {
      pairs: { text: string; offers: object }[];
    };
    expect(pairs.find((pair) => pair.text === 'a lighthouse')?.offers).toEqual({
      b: { run, epoch: 10, prompt: position, words: 'Make it (about 5 s)' },
    });
    expect(pairs[0]?.offers).toEqual({});
  });
});
