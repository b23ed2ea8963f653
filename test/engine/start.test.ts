import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { isAlive } from '../../db/processes.ts';
import { type BinaryEngine, findEngine } from '../../engine/find.ts';
import { choosePort } from '../../engine/ports.ts';
import { type RunningEngine, startEngine } from '../../engine/start.ts';

let found: BinaryEngine;
const folders: string[] = [];
const running: RunningEngine[] = [];

beforeAll(async () => {
  const { TEMPORAL_ADDRESS: _address, ...env } = process.env;
  const engine = await findEngine({ env });
  if (engine.kind !== 'binary') throw new Error('these tests need a server of their own');
  found = engine;
}, 600_000);

afterEach(async () => {
  for (const engine of running.splice(0)) await engine.stop({ within: 0 });
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tiller-engine-'));
  folders.push(folder);
  return folder;
}

async function start(folder: string, more: { port?: number; uiPort?: number } = {}) {
  const engine = await startEngine({
    binary: found.path,
    databaseFile: join(folder, 'engine.db'),
    logFile: join(folder, 'engine.log'),
    port: await choosePort(),
    ...more,
  });
  running.push(engine);
  return engine;
}

async function withClient<Result>(address: string, use: (client: Client) => Promise<Result>) {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

describe('the engine', () => {
  test('serves, keeps history for years and ends on SIGTERM', async () => {
    const engine = await start(newFolder());
    const seconds = await withClient(engine.address, async ({ workflowService }) => {
      const { config } = await workflowService.describeNamespace({ namespace: 'default' });
      return Number(config?.workflowExecutionRetentionTtl?.seconds);
    });
    expect(seconds).toBeGreaterThan(365 * 24 * 3600);
    expect(await engine.stop()).toEqual({ code: 0, signal: null });
    expect(isAlive(engine.pid, engine.start)).toBe(false);
  });

  test('killed and started again on its file, it has the open workflow', async () => {
    const folder = newFolder();
    const first = await start(folder);
    await withClient(first.address, ({ workflow }) =>
      workflow.start('anything', { workflowId: 'open', taskQueue: 'nobody' }),
    );
    process.kill(first.pid, 'SIGKILL');
    expect(await first.exited).toEqual({ code: null, signal: 'SIGKILL' });

    const second = await start(folder, { port: Number(first.address.split(':')[1]) });
    const status = await withClient(
      second.address,
      async ({ workflow }) => (await workflow.getHandle('open').describe()).status.name,
    );
    expect(status).toBe('RUNNING');
  });

  test("Temporal's web page is served only when asked for", async () => {
    const uiPort = await choosePort();
    const { uiAddress } = await start(newFolder(), { uiPort });
    expect(uiAddress).toBe(`127.0.0.1:${uiPort}`);
    const page = await fetch(`http://${uiAddress}/`);
    expect(await page.text()).toContain('<html');
    const folder = newFolder();
    const without = await start(folder);
    expect(without).not.toHaveProperty('uiAddress');
    await without.stop();
    expect(readFileSync(join(folder, 'engine.log'), 'utf8')).not.toContain('UI:');
  });

  test('a port in use is named', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    try {
      await expect(start(newFolder(), { port })).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        message: expect.stringContaining(String(port)),
      });
    } finally {
      server.close();
    }
  });

  test('a server that ends at once is an error with the end of its log', async () => {
    const folder = newFolder();
    const binary = join(folder, 'temporal');
    writeFileSync(binary, '#!/bin/sh\necho "no such flag" >&2\nexit 4\n', { mode: 0o755 });
    const options = {
      binary,
      version: found.version,
      port: await choosePort(),
      databaseFile: join(folder, 'engine.db'),
      logFile: join(folder, 'engine.log'),
    };
    await expect(startEngine(options)).rejects.toMatchObject({
      code: 'ENGINE_START_FAILED',
      message: expect.stringContaining('ended with 4'),
      hint: expect.stringContaining('no such flag'),
    });
  });
});

describe('its database file', () => {
  test.each([
    ['is no SQLite file', (file: string) => writeFileSync(file, 'garbage')],
    ['is empty', (file: string) => truncateSync(file, 0)],
    [
      'is cut in half',
      (file: string) => truncateSync(file, 4096 * Math.floor(statSync(file).size / 8192)),
    ],
    ['has overwritten pages', (file: string) => overwrite(file)],
  ])('that %s is named, and left alone', async (_what, spoil) => {
    const folder = newFolder();
    const file = join(folder, 'engine.db');
    await (await start(folder)).stop();
    spoil(file);
    const before = readFileSync(file);
    await expect(start(folder)).rejects.toMatchObject({
      code: 'ENGINE_DATABASE_CORRUPT',
      message: expect.stringContaining(file),
    });
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('that was never finished is made anew', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'engine.db'), '');
    const stamp = { ...found.version, state: 'new' };
    writeFileSync(join(folder, 'engine.db.version'), JSON.stringify(stamp));
    await start(folder);
    expect(JSON.parse(readFileSync(join(folder, 'engine.db.version'), 'utf8'))).toEqual({
      ...found.version,
      state: 'ready',
    });
  });

  test('of another version of the server is refused', async () => {
    const folder = newFolder();
    await (await start(folder)).stop();
    const stamp = { cli: '1.1.0', server: '1.25.2', state: 'ready' };
    writeFileSync(join(folder, 'engine.db.version'), JSON.stringify(stamp));
    await expect(start(folder)).rejects.toMatchObject({
      code: 'ENGINE_VERSION',
      message: expect.stringContaining('1.25.2'),
    });
  });
});

function overwrite(file: string): void {
  rmSync(`${file}-wal`, { force: true }); // it may hold sound copies of these pages
  const bytes = readFileSync(file);
  for (let page = 2; page * 4096 < bytes.length; page += 3)
    bytes.fill(0xa5, page * 4096, page * 4096 + 64);
  writeFileSync(file, bytes);
}
