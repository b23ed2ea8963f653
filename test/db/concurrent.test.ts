/** Several processes on one record: none fails busy, and nothing is lost or doubled. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { eventsAfter } from '../../db/events.ts';
import { readPoints } from '../../db/metrics.ts';
import { newRecord, newRun } from './record.ts';

const WRITERS = 4;
const ROUNDS = 60;

/** Each round reads and then writes, in several transactions: what a deferred one would fail at. */
const program = (file: string, run: string): string => `
  const at = (name) => import(${JSON.stringify(join(import.meta.dirname, '../../db'))} + '/' + name);
  const { openRecord } = await at('connection.ts');
  const { takeLease } = await at('leases.ts');
  const { createLaunch } = await at('launches.ts');
  const { ingest } = await at('ingest.ts');
  const { claimDevice, releaseDevice } = await at('devices.ts');
  const { createRequest, finishRequest } = await at('requests.ts');
  const { setRunState } = await at('runs.ts');
  const db = openRecord(${JSON.stringify(file)});
  const lease = takeLease(db, '${run}', 'pid:' + process.pid);
  const launch = createLaunch(db, lease, { run: '${run}', epoch: 1, stage: 'train', folder: '/x' });
  for (let round = 1; round <= ${ROUNDS}; round++) {
    const step = { event: 'step', step: round, epoch: 1, loss: 1 / round, lr: 1, grad_norm: 1, ms: 1 };
    ingest(db, lease, launch, [{ event: step, end: round * 10 }], round * 10);
    if (claimDevice(db, 'cpu', '${run}', 3)) releaseDevice(db, '${run}');
    finishRequest(db, createRequest(db, { run: '${run}', verb: 'save', arguments: {} }).id);
    setRunState(db, '${run}', round % 2 === 0 ? 'training' : 'evaluating');
  }
  db.close();`;

test('four processes write at once and none fails', async () => {
  const db = newRecord();
  const runs = Array.from(
    { length: WRITERS },
    (_, index) => newRun(db, { name: `run-${index}` }).id,
  );
  const children = runs.map((run) =>
    spawn(process.execPath, ['--input-type=module', '-e', program(db.file, run)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  );
  const said = await Promise.all(
    children.map(async (child) => {
      let text = '';
      child.stderr.on('data', (chunk: Buffer) => (text += String(chunk)));
      const [code] = (await once(child, 'exit')) as [number];
      return { code, text: code === 0 ? '' : text };
    }),
  );
  expect(said).toEqual(runs.map(() => ({ code: 0, text: '' })));
  for (const run of runs) {
    expect(readPoints(db, run, 'loss')).toEqual(
      Array.from({ length: ROUNDS }, (_, index) => ({ step: index + 1, value: 1 / (index + 1) })),
    );
    const requests = eventsAfter(db, 0, run, 10_000).filter(({ kind }) => kind === 'request');
    expect(requests).toHaveLength(2 * ROUNDS);
  }
});
