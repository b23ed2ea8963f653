/**
 * How long the pages keep a person waiting: a curve of a million steps that grows, as the dashboard gives
 * it; and pages with a thousand pictures, as a browser shows them. Nothing is cached at a visit, and of
 * each figure the worst of all rounds counts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Page } from 'playwright-core';
import { launchBrowser } from '../test/browser/browser.ts';
import { servePages } from '../test/browser/serve.ts';
import { addSamples, emptyRecord, seedRun } from '../test/fixtures/seed-record.ts';
import { fillRecord } from './tools/curve.ts';
import type { CurveRouteFigures } from './tools/curve-route.ts';
import { readOptions } from './tools/options.ts';
import { timePage, type PageTimes } from './tools/page-times.ts';
import type { BenchResult, Figure } from './tools/result.ts';

const EPOCHS = 125;
const PROMPTS = 334;
/** Pixels of a picture's side. */
const SIZE = 256;

export async function run(args: string[]): Promise<BenchResult[]> {
  const { steps, rounds } = readOptions('npm run bench -- pages', args, {
    steps: 1_000_000,
    rounds: 3,
  });
  const folder = await mkdtemp(join(tmpdir(), 'tiller-bench-'));
  try {
    return [await measureCurve(folder, steps), ...(await measurePictures(folder, rounds))];
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measureCurve(folder: string, steps: number): Promise<BenchResult> {
  const { file, run } = fillRecord(join(folder, 'curve.db'), steps, (step) => 170 + (step % 13));
  // A process of its own: its memory is measured, too.
  const script = join(import.meta.dirname, 'tools', 'curve-route.ts');
  const { stdout } = await execa(process.execPath, [script, file, run, String(steps)]);
  const found = JSON.parse(stdout) as CurveRouteFigures;
  const ms = (name: string, value: number, note?: string): Figure => ({
    name,
    value,
    unit: 'ms',
    ...(note === undefined ? {} : { note }),
  });
  return {
    bench: 'pages, curve',
    ours: Math.max(found.update, found.updateHours, found.updateCost),
    peer: null,
    unit: `ms for a new step of ${steps.toLocaleString('en')}, the slowest axis`,
    better: 'less',
    goal: { atMost: 50 },
    figures: [
      ms('first answer', found.first, `${found.kibibytes.toFixed(0)} KiB`),
      ms('after a new step', found.update),
      ms('after a new step, a tenth of the curve', found.zoomed),
      ms('first answer against hours', found.firstHours, 'a second curve is read'),
      ms('after a new step, against hours', found.updateHours),
      ms('after a new step, against cost', found.updateCost),
      {
        name: 'memory',
        value: found.mebibytes,
        unit: 'MiB',
        note: 'more than before, at its peak',
      },
    ],
  };
}

interface View {
  name: string;
  path: string;
  firstRow: string;
  use?: (page: Page) => Promise<void>;
}

async function measurePictures(folder: string, rounds: number): Promise<BenchResult[]> {
  const home = join(folder, 'home');
  const db = await emptyRecord(home);
  const seed = {
    recipe: { train: { epochs: EPOCHS, steps_per_epoch: 150 } },
    startedAt: Date.now() - 3_600_000,
    scale: 1,
    size: SIZE,
  };
  const prompts = Array.from({ length: PROMPTS }, (_, index) => `picture ${index + 1} of many`);
  const long = await seedRun(db, home, { ...seed, name: 'long', epochs: EPOCHS });
  const wide = await seedRun(db, home, { ...seed, name: 'wide', epochs: 2, prompts });
  const served = await servePages(db, home);
  const browser = await launchBrowser();
  let epoch = EPOCHS;
  const views: View[] = [
    {
      name: 'a run of 126 epochs, scrolled through',
      path: `/runs/${long}`,
      firstRow: 'table.strip tbody tr:first-child img',
      use: scrollThrough,
    },
    {
      name: 'the same, to its samples',
      path: `/runs/${long}#samples`,
      firstRow: 'table.grid tbody tr:first-child img',
    },
    {
      name: 'the same, when samples come',
      path: `/runs/${long}`,
      firstRow: 'table.strip tbody tr:first-child img',
      use: async (page) => {
        epoch += 1;
        await addSamples(db, home, long, { epoch, step: epoch * 150, size: SIZE });
        await page.locator('#new-samples').click();
        await page.locator('table.grid tbody tr').nth(epoch).locator('img').last().waitFor();
      },
    },
    {
      name: `a run of ${PROMPTS} prompts, scrolled through`,
      path: `/runs/${wide}`,
      firstRow: 'table.strip tbody tr:first-child img',
      use: scrollThrough,
    },
    {
      name: `a comparison of ${PROMPTS} prompts`,
      path: `/compare?a=${wide}@1&b=${wide}@2`,
      firstRow: '.view img',
    },
    {
      name: 'the same as a grid, scrolled through',
      path: `/compare?a=${wide}@1&b=${wide}@2&mode=grid`,
      firstRow: '.pairs li:first-child img',
      use: scrollThrough,
    },
  ];
  const found: { name: string; times: PageTimes }[] = [];
  try {
    for (const { name, path, ...view } of views) {
      const times: PageTimes = { firstRow: 0, longest: 0, pictures: 0 };
      for (let round = 0; round < rounds; round += 1) {
        const next = await timePage(browser, { ...view, address: `${served.address}${path}` });
        times.firstRow = Math.max(times.firstRow, next.firstRow);
        times.longest = Math.max(times.longest, next.longest);
        times.pictures = Math.max(times.pictures, next.pictures);
      }
      found.push({ name, times });
    }
  } finally {
    await browser.close();
    await served.close();
    db.close();
  }
  const result = (
    what: keyof PageTimes,
    bench: string,
    unit: string,
    atMost: number,
    note?: string,
  ): BenchResult => ({
    bench: `pages, ${bench}`,
    ours: Math.max(...found.map(({ times }) => times[what])),
    peer: null,
    unit,
    better: 'less',
    goal: { atMost },
    figures: found.map(({ name, times }) => ({
      name,
      value: times[what],
      unit: unit.split(' ', 1)[0]!,
      ...(note !== undefined && times[what] === 0 ? { note } : {}),
    })),
  });
  return [
    result('firstRow', 'first row', 'ms until its pictures are drawn', 1_000),
    result('longest', 'longest task', 'ms of the main thread', 100, 'none of 50 ms or more'),
    result('pictures', 'pictures', '<img> in the document at most', 120),
  ];
}

async function scrollThrough(page: Page): Promise<void> {
  const height = await page.evaluate<number>('document.documentElement.scrollHeight');
  for (let top = 0; top < height; top += 1_500) {
    await page.evaluate(`scrollTo(0, ${top})`);
    await page.waitForTimeout(100);
  }
}
