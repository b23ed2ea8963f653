/** The demo itself, from the data to the compare page, only shorter. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { readProcesses } from '../../db/processes.ts';
import { tiller } from './run-tiller.ts';

const home = mkdtempSync(join(tmpdir(), 'tiller-demo-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const demo = (...args: string[]) =>
  tiller(home, [
    'demo',
    '--exit',
    '--epochs',
    '1',
    '--steps-per-epoch',
    '2',
    '--port',
    '0',
    ...args,
  ]);

test('trains, evaluates, names the compare page, and leaves nothing running', async () => {
  const { code, out, err } = await demo();
  expect(err).toBe('');
  const lines = out.split('\n');
  const starts = [
    'home',
    'data',
    'dashboard http://127.0.0.1:',
    'trainer',
    'run       emoji',
    'watch it',
    'epoch 0 of 1',
    'epoch 1 of 1',
  ];
  const places = starts.map((start) => lines.findIndex((line) => line.startsWith(start)));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places).not.toContain(-1);
  expect(out).toContain('Apache License');
  expect(out).toContain('150 pictures to train on, 10 held out');
  expect(out).toContain('emoji is done: 1 epoch, 2 steps.');
  expect(out).toMatch(/^compare {3}http:\/\/127\.0\.0\.1:\d+\/compare\?a=\w+@0&b=\w+@1$/m);
  expect(code).toBe(0);

  const { samples } = JSON.parse((await tiller(home, ['show', 'emoji@1', '--json'])).out) as {
    samples: unknown[];
  };
  expect(samples).toHaveLength(8);
  const [run = ''] = readdirSync(homePaths(home).runs);
  expect(existsSync(join(homePaths(home).runs, run, 'exports/emoji-000001.safetensors'))).toBe(
    true,
  );
  const db = openRecord(homePaths(home).record);
  expect(readProcesses(db)).toEqual([]);
  db.close();
}, 600_000);
