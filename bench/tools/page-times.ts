/** How long a page with many pictures takes in a browser, and how long it keeps it from answering. */
import type { Browser, Page } from 'playwright-core';

export interface PageTimes {
  /** ms from the navigation's start until each picture of the first row is drawn */
  firstRow: number;
  /** ms of the longest task of the main thread; tasks of less than 50 ms are not told, and count as 0 */
  longest: number;
  /** the most pictures that were in the document at a time */
  pictures: number;
}

export interface Visit {
  address: string;
  /** selects the pictures of the first row */
  firstRow: string;
  /** What is done with the page once its first row is drawn. */
  use?: (page: Page) => Promise<void>;
}

// Runs in the page before its own script; a text, because the benchmarks' own types know no document.
const watcher = (firstRow: string): string => `{
  const seen = (window.seen = { firstRow: 0, longest: 0, pictures: 0 });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration);
  }).observe({ type: 'longtask', buffered: true });
  const look = () => {
    seen.pictures = Math.max(seen.pictures, document.images.length);
    const row = [...document.querySelectorAll(${JSON.stringify(firstRow)})];
    const drawn = row.length > 0 && row.every((image) => image.complete && image.naturalWidth > 0);
    if (seen.firstRow === 0 && drawn) seen.firstRow = performance.now();
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}`;

const ready = `seen.firstRow > 0 && document.querySelector('#chip[data-tone=live]') !== null`;

/** One visit with nothing cached. */
export async function timePage(browser: Browser, visit: Visit): Promise<PageTimes> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  try {
    const page = await context.newPage();
    await page.addInitScript({ content: watcher(visit.firstRow) });
    await page.goto(visit.address);
    // A string that is waited for would be refused: our pages let nothing be evaluated.
    while (!(await page.evaluate<boolean>(ready))) await page.waitForTimeout(20);
    await visit.use?.(page);
    // A long task is told after it has ended.
    await page.waitForTimeout(300);
    return await page.evaluate<PageTimes>('seen');
  } finally {
    await context.close();
  }
}
