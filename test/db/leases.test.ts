import { describe, expect, test } from '@jest/globals';
import { markCheckpoint, markDamaged } from '../../db/checkpoints.ts';
import {
  beginEpoch,
  beginEvaluation,
  endEpoch,
  markEvaluated,
  reopenEpoch,
} from '../../db/epochs.ts';
import { ingest } from '../../db/ingest.ts';
import { createLaunch, launchEnded, launchStarted } from '../../db/launches.ts';
import { takeLease } from '../../db/leases.ts';
import { setRunState } from '../../db/runs.ts';
import { saveUsage } from '../../db/usage.ts';
import { newLaunch, newRun, reopen, working, type Working } from './record.ts';

const cost = { deviceSeconds: 1, joules: 1, metered: false, pricePerKwh: 0.3, currency: 'EUR' };

/** Everything that an attempt writes. */
const writers: [string, (work: Working) => unknown][] = [
  [
    'beginEpoch',
    ({ db, lease, run }) => beginEpoch(db, lease, { run, epoch: 1, firstStep: 0, lastStep: 9 }),
  ],
  [
    'beginEvaluation',
    ({ db, lease, run }) => beginEvaluation(db, lease, { run, epoch: 0, step: 0 }),
  ],
  ['endEpoch', ({ db, lease, run }) => endEpoch(db, lease, { run, epoch: 0 })],
  ['markEvaluated', ({ db, lease, run }) => markEvaluated(db, lease, { run, epoch: 0 })],
  ['reopenEpoch', ({ db, lease, run }) => reopenEpoch(db, lease, { run, epoch: 0 })],
  [
    'createLaunch',
    ({ db, lease, run }) =>
      createLaunch(db, lease, { run, epoch: 1, stage: 'train', folder: '/x' }),
  ],
  ['launchStarted', ({ db, lease, launch }) => launchStarted(db, lease, launch.id, 1, 'start')],
  ['launchEnded', ({ db, lease, launch }) => launchEnded(db, lease, launch.id, null)],
  ['markCheckpoint', ({ db, lease }) => markCheckpoint(db, lease, 'some', 'deleted')],
  ['markDamaged', ({ db, lease }) => markDamaged(db, lease, '/some')],
  ['saveUsage', ({ db, lease, launch }) => saveUsage(db, lease, launch, cost)],
  ['setRunState', ({ db, lease, run }) => setRunState(db, run, 'interrupted', { lease })],
  [
    'ingest',
    ({ db, lease, launch }) =>
      ingest(
        db,
        lease,
        launch,
        [{ event: { event: 'step', step: 1, epoch: 1, loss: 1 }, end: 9 }],
        9,
      ),
  ],
];

const dump = ({ db }: Working): string =>
  JSON.stringify(
    ['run', 'epoch', 'launch', 'checkpoint', 'usage', 'series', 'metric_point', 'event'].map(
      (table) => db.raw.prepare(`SELECT * FROM ${table}`).all(),
    ),
  );

describe('a lease', () => {
  test('is higher each time, for each run by itself', () => {
    const { db, lease, run } = working();
    const other = newRun(db);
    expect(lease.lease).toBe(1);
    expect(takeLease(db, run, 'b').lease).toBe(2);
    expect(takeLease(reopen(db.file), run, 'c').lease).toBe(3);
    expect(takeLease(db, other.id, 'd').lease).toBe(1);
  });

  test.each(writers)('lets its holder through: %s', (_, write) => {
    const work = working();
    beginEvaluation(work.db, work.lease, { run: work.run, epoch: 0, step: 0 });
    expect(() => write(work)).not.toThrow();
  });

  test.each(writers)('refuses an older one, which then writes nothing: %s', (_, write) => {
    const work = working();
    beginEvaluation(work.db, work.lease, { run: work.run, epoch: 0, step: 0 });
    // Another worker, on another connection.
    takeLease(reopen(work.db.file), work.run, 'newer');
    const before = dump(work);
    expect(() => write(work)).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
    expect(dump(work)).toBe(before);
  });

  test('of one run opens no other', () => {
    const work = working();
    const other = newRun(work.db);
    const launch = newLaunch(work.db, takeLease(work.db, other.id, 'x'));
    expect(() => ingest(work.db, work.lease, launch, [], 5)).toThrow(/was used for run/);
    expect(() => launchStarted(work.db, work.lease, launch.id, 1, 's')).toThrow(/was used for run/);
  });
});
