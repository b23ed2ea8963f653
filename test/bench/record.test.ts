/** The benchmark's own checks, at a small size: a figure for work that was not done would be worthless. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { measureCurve } from '../../bench/tools/curve.ts';
import { ingestSpool, writeSpool } from '../../bench/tools/record.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-bench-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('all rows of a spool are in the record', async () => {
  const spool = join(folder, 'spool.jsonl');
  await writeSpool(spool, 3_000);
  const { whole, storage } = await ingestSpool(folder, spool, 3_000);
  expect(whole.seconds).toBeGreaterThan(0);
  expect(storage.seconds).toBeGreaterThan(0);
});

test('a missing row is found', async () => {
  const spool = join(folder, 'short.jsonl');
  await writeSpool(spool, 10);
  await expect(ingestSpool(await mkdtemp(join(folder, 'short-')), spool, 11)).rejects.toThrow(
    '10 points of 11 are in the curve loss',
  );
});

test('a long curve is checked bucket by bucket', () => {
  const { ours, peer } = measureCurve(folder, 20_000);
  expect(ours).toBeGreaterThan(0);
  expect(peer).toBeGreaterThan(0);
});
