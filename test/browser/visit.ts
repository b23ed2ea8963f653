/** A seeded record, its pages on a socket, and a browser; what a page complains of is kept. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { Ask, SendRequest } from '../../dashboards/routes/deps.ts';
import type { Db } from '../../db/connection.ts';
import { emptyRecord, seedRecord, type Seeded } from '../fixtures/seed-record.ts';
import { launchBrowser } from './browser.ts';
import { servePages, type Served } from './serve.ts';

export const WIDE = { width: 1440, height: 900 };
export const PHONE = { width: 360, height: 740 };

export interface Visit {
  readonly home: string;
  readonly db: Db;
  readonly seeded: Seeded;
  readonly asked: Ask[];
  /** Errors and warnings of the consoles of all pages, and dialogs that scripts opened. */
  readonly complaints: string[];
  address(): string;
  open(path: string, options?: BrowserContextOptions): Promise<Page>;
  /** Takes the server away, as a kill would. */
  stopServer(): Promise<void>;
  /** Brings it back on the same port. */
  startServer(): Promise<void>;
  close(): Promise<void>;
}

export interface VisitOptions {
  readonly empty?: boolean;
  readonly sendRequest?: SendRequest;
}

export const startVisit = async ({
  empty = false,
  sendRequest,
}: VisitOptions = {}): Promise<Visit> => {
  const home = await mkdtemp(join(tmpdir(), 'tiller-browser-'));
  const nobody = '';
  const seeded: Seeded = empty
    ? {
        db: await emptyRecord(home),
        done: nobody,
        training: nobody,
        paused: nobody,
        failed: nobody,
        hostile: nobody,
      }
    : await seedRecord(home);
  const browser: Browser = await launchBrowser();
  const complaints: string[] = [];
  const asked: Ask[] = [];
  let served: Served | undefined;
  let port = 0;
  const startServer = async (): Promise<void> => {
    served = await servePages(
      seeded.db,
      home,
      async (ask) => {
        asked.push(ask);
        return sendRequest === undefined ? { id: 'fake' } : sendRequest(ask);
      },
      port,
    );
    port = Number(new URL(served.address).port);
  };
  const stopServer = async (): Promise<void> => {
    await served?.close();
    served = undefined;
  };
  await startServer();
  return {
    home,
    db: seeded.db,
    seeded,
    asked,
    complaints,
    address: () => `http://127.0.0.1:${port}`,
    startServer,
    stopServer,
    async open(path, options = {}) {
      const context = await browser.newContext({
        viewport: WIDE,
        reducedMotion: 'reduce',
        ...options,
      });
      const page = await context.newPage();
      page.setDefaultTimeout(10_000);
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('dialog', (dialog) => {
        complaints.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      await page.goto(`http://127.0.0.1:${port}${path}`);
      await page.locator('#chip[data-tone=live]').waitFor();
      return page;
    },
    async close() {
      await browser.close();
      await stopServer();
      seeded.db.close();
      await rm(home, { recursive: true, force: true });
    },
  };
};

/** The address without its origin. */
export const pathOf = (page: Page): string => {
  const { pathname, search } = new URL(page.url());
  return `${pathname}${search}`;
};

export const queryOf = (page: Page): Record<string, string> =>
  Object.fromEntries(new URL(page.url()).searchParams);

/** Waits until something is so. */
export const eventually = async (
  what: string,
  check: () => Promise<boolean> | boolean,
): Promise<void> => {
  const end = Date.now() + 10_000;
  while (Date.now() < end) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`did not happen: ${what}`);
};
