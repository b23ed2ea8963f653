/** A long curve at the width of a screen: from the record, and by SQL from a table of points. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { openRecord } from '../../db/connection.ts';
import { ingest } from '../../db/ingest.ts';
import { readSeries, type Bucket } from '../../db/metrics.ts';
import { median, timed } from './clock.ts';
import { newRun } from './record.ts';
import type { BenchResult, Figure } from './result.ts';

const BUCKETS = 1_200;
const BATCH = 20_000;
const READS = 15;

/** A loss with spikes of one step, which a curve that skips points loses; NaN and an infinity too. */
export function valueAt(step: number): number {
  if (step % 10_007 === 7) return Number.NaN;
  if (step === 500_009) return Number.POSITIVE_INFINITY;
  if (step % 77_777 === 5) return 1_000 + step;
  if (step % 88_881 === 3) return -1_000 - step;
  return 2 / Math.sqrt(1 + step / 1_000) + 0.05 * Math.sin(step * 12.9898);
}

interface Window {
  name: string;
  from: number;
  to: number;
}

export function measureCurve(folder: string, steps: number): BenchResult {
  const { file, run } = fillRecord(join(folder, 'curve.db'), steps);
  const table = fillTable(folder, steps);
  const windows: Window[] = [
    { name: 'all of it', from: 1, to: steps },
    { name: 'a window of nine tenths', from: Math.floor(steps / 17), to: Math.floor(steps * 0.96) },
    { name: 'a window of a tenth', from: Math.floor(steps / 3), to: Math.floor(steps / 2.3) },
    { name: 'the last 5,000', from: Math.max(1, steps - 4_999), to: steps },
  ];
  const figures: Figure[] = [];
  const slowest = { ours: 0, peer: 0 };
  for (const window of windows) {
    const { from, to, name } = window;
    // As a page does it that has just been opened: nothing of the curve is in memory.
    const cold = milliseconds(() => {
      const db = openRecord(file, { readonly: true });
      readSeries(db, run, 'loss', { from, to, buckets: BUCKETS });
      db.close();
    });
    const db = openRecord(file, { readonly: true });
    const read = () => readSeries(db, run, 'loss', { from, to, buckets: BUCKETS });
    checkBuckets(read().buckets, window);
    const ours = median(Array.from({ length: READS }, () => milliseconds(read)));
    const peer = median(
      Array.from({ length: 5 }, () => milliseconds(() => readTable(table, window))),
    );
    db.close();
    figures.push(
      {
        name: `record, ${name}`,
        value: ours,
        unit: 'ms',
        note: `newly opened: ${cold.toFixed(1)} ms`,
      },
      { name: `SQL, ${name}`, value: peer, unit: 'ms' },
    );
    slowest.ours = Math.max(slowest.ours, ours, cold);
    slowest.peer = Math.max(slowest.peer, peer);
  }
  table.close();
  return {
    bench: 'curve',
    ours: slowest.ours,
    peer: slowest.peer,
    unit: `ms to ${BUCKETS} buckets of ${steps.toLocaleString('en')} steps, the slowest window`,
    better: 'less',
    goal: { atMost: 50 },
    figures,
  };
}

/** @param ms of each step, if its trainer says that too */
export function fillRecord(
  file: string,
  steps: number,
  ms?: (step: number) => number,
): { file: string; run: string } {
  const { db, lease, launch } = newRun(file);
  for (let start = 1; start <= steps; start += BATCH) {
    const size = Math.min(BATCH, steps - start + 1);
    const said = Array.from({ length: size }, (_, index) => {
      const step = start + index;
      const time = ms === undefined ? {} : { ms: ms(step) };
      return {
        event: { event: 'step', step, epoch: 1, loss: valueAt(step), ...time } as const,
        end: step,
      };
    });
    ingest(db, lease, launch, said, start + size - 1);
  }
  db.close();
  return { file, run: launch.run };
}

/** What a tracker without roll-ups has: a row a point. NaN is NULL there. */
function fillTable(folder: string, steps: number): Database.Database {
  const db = new Database(join(folder, 'table.db'));
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE point (step INTEGER PRIMARY KEY, value REAL) STRICT');
  const insert = db.prepare('INSERT INTO point VALUES (?, ?)');
  db.transaction(() => {
    for (let step = 1; step <= steps; step++) insert.run(step, valueAt(step));
  })();
  return db;
}

const readTable = (db: Database.Database, { from, to }: Window): unknown[] =>
  db
    .prepare(
      `SELECT (step - @from) * ${BUCKETS} / (@to - @from + 1) AS bucket,
         min(value), max(value), avg(value), count(*) - count(value)
       FROM point WHERE step BETWEEN @from AND @to GROUP BY bucket`,
    )
    .all({ from, to });

/** Every bucket against all of its points, one by one. */
function checkBuckets(buckets: readonly Bucket[], { name, from, to }: Window): void {
  let next = from;
  for (const bucket of buckets) {
    const fail = (what: string): never => {
      throw new Error(`${name}: steps ${bucket.from} to ${bucket.to} have another ${what}`);
    };
    if (bucket.from !== next) fail('beginning');
    let [min, max, nan] = [Infinity, -Infinity, 0];
    for (let step = bucket.from; step <= bucket.to; step++) {
      const value = valueAt(step);
      if (!Number.isFinite(value)) nan += 1;
      else [min, max] = [Math.min(min, value), Math.max(max, value)];
    }
    if (bucket.min !== min) fail('minimum');
    if (bucket.max !== max) fail('maximum');
    if (bucket.nan !== nan) fail('number of NaNs');
    if (bucket.count !== bucket.to - bucket.from + 1) fail('count');
    if (!Object.is(bucket.first, valueAt(bucket.from))) fail('first value');
    if (!Object.is(bucket.last, valueAt(bucket.to))) fail('last value');
    next = bucket.to + 1;
  }
  if (next !== to + 1) throw new Error(`${name}: the last step is ${next - 1} and not ${to}`);
}

const milliseconds = (work: () => unknown): number => timed(work).seconds * 1_000;
