/**
 * Pictures of the pages of a running dashboard, wide and narrow, light and dark:
 *
 *     node test/browser/screenshots.ts ADDRESS FOLDER [RUN]
 *
 * RUN is a name or an id; left out, the newest run.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { launchBrowser } from './browser.ts';

export interface Shots {
  readonly address: string;
  readonly folder: string;
  readonly run?: string;
  /** The whole page, not only the first screen. */
  readonly fullPage?: boolean;
}

export const takeScreenshots = async ({
  address,
  folder,
  run,
  fullPage = true,
}: Shots): Promise<string[]> => {
  await mkdir(folder, { recursive: true });
  const browser = await launchBrowser();
  const files: string[] = [];
  try {
    for (const scheme of ['light', 'dark'] as const) {
      for (const width of [1440, 360]) {
        const context = await browser.newContext({
          viewport: { width, height: width === 360 ? 740 : 900 },
          colorScheme: scheme,
          reducedMotion: 'reduce',
          hasTouch: width === 360,
        });
        const page = await context.newPage();
        const shoot = async (name: string): Promise<void> => {
          // Charts and pictures come after the page.
          await page.waitForTimeout(700);
          if (fullPage) {
            // As tall as the page: pictures are drawn only where they are in view.
            const height = await page.evaluate<number>('document.documentElement.scrollHeight');
            await page.setViewportSize({ width, height: Math.max(740, height) });
            const drawn = '[...document.images].every(({ complete }) => complete)';
            do await page.waitForTimeout(500);
            while (!(await page.evaluate<boolean>(drawn)));
          }
          const file = join(folder, `${name}-${width}-${scheme}.png`);
          await page.screenshot({ path: file });
          await page.setViewportSize({ width, height: width === 360 ? 740 : 900 });
          files.push(file);
        };
        await page.goto(`${address}/`);
        await shoot('runs');
        const path =
          run === undefined
            ? await page.locator('a.open').first().getAttribute('href')
            : `/runs/${encodeURIComponent(run)}`;
        await page.goto(`${address}${path}`);
        await shoot('run');
        const compare = run === undefined ? '/compare' : `/compare?a=${run}@10&b=${run}@13`;
        const answer = await page.goto(`${address}${compare}`);
        if (answer?.status() === 404) await page.goto(`${address}/compare`);
        await shoot('compare');
        await context.close();
      }
    }
  } finally {
    await browser.close();
  }
  return files;
};

if (import.meta.main) {
  const [, , address, folder, run] = process.argv;
  if (address === undefined || folder === undefined) {
    throw new Error('usage: node test/browser/screenshots.ts ADDRESS FOLDER [RUN]');
  }
  for (const file of await takeScreenshots({
    address,
    folder,
    ...(run === undefined ? {} : { run }),
  })) {
    process.stdout.write(`${file}\n`);
  }
}
