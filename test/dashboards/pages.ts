/** The pages without a socket, on a seeded record. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hono } from 'hono';
import { createServer } from '../../dashboards/app.ts';
import type { Assets } from '../../dashboards/assets.ts';
import type { Ask, SendRequest } from '../../dashboards/routes/deps.ts';
import { homePaths } from '../../db/home.ts';
import { emptyRecord, seedRecord, type Seeded } from '../fixtures/seed-record.ts';
import type { Db } from '../../db/connection.ts';

export const HOST = '127.0.0.1:7420';
export const ORIGIN = `http://${HOST}`;

/** Built assets are the browser tests' business. */
const noAssets: Assets = {
  script: '/assets/tiller.js',
  style: '/assets/tiller.css',
  icon: '/assets/icon.svg',
  files: new Map([['tiller.js', { body: new Uint8Array([59]), type: 'text/javascript' }]]),
};

export interface Pages {
  readonly home: string;
  readonly db: Db;
  readonly app: Hono;
  readonly asked: Ask[];
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

const openPages = (home: string, db: Db, sendRequest: SendRequest): Pages => {
  const asked: Ask[] = [];
  const server = createServer({
    db,
    artifacts: homePaths(home).artifacts,
    runs: homePaths(home).runs,
    assets: noAssets,
    sendRequest: (ask) => {
      asked.push(ask);
      return sendRequest(ask);
    },
  });
  return {
    home,
    db,
    app: server.app,
    asked,
    get: async (path, headers = {}) =>
      server.app.request(`${ORIGIN}${path}`, { headers: { host: HOST, ...headers } }),
    close: async () => {
      server.close();
      db.close();
      await rm(home, { recursive: true, force: true });
    },
  };
};

const newHome = (): Promise<string> => mkdtemp(join(tmpdir(), 'tiller-pages-'));

/** The engine, at the edge of the machine: only records what was asked. */
const fakeEngine: SendRequest = async () => ({ id: 'request01' });

export const seededPages = async (
  sendRequest: SendRequest = fakeEngine,
): Promise<Pages & { seeded: Seeded }> => {
  const home = await newHome();
  const seeded = await seedRecord(home);
  return { ...openPages(home, seeded.db, sendRequest), seeded };
};

export const emptyPages = async (): Promise<Pages> => {
  const home = await newHome();
  return openPages(home, await emptyRecord(home), fakeEngine);
};
