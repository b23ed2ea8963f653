/**
 * How fast the record takes in a trainer's metrics, beside Trackio and MLflow on the same rows; and how
 * fast it gives a curve of a million steps to a screen, beside SQL on a table of points.
 *
 * `ingest` is the whole way, by what each tells its users to call: ours is a worker's, which reads the
 * spool, parses and checks each line and commits it with the spool's offset, synced to the disk.
 * `ingest, storage alone` begins with rows that are parsed: our `ingest` beside the inside of Trackio,
 * which its users do not call.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Time } from './tools/clock.ts';
import { measureCurve } from './tools/curve.ts';
import { readOptions } from './tools/options.ts';
import { ingestSpool, writeSpool } from './tools/record.ts';
import type { BenchResult, Figure } from './tools/result.ts';
import { runPeer, venv } from './tools/venv.ts';

/** Rows that Trackio's storage is given in one call: more is no faster. */
const TRACKIO_BATCH = 5_000;

export async function run(args: string[]): Promise<BenchResult[]> {
  const { rows, rounds, steps } = readOptions('npm run bench -- ingest', args, {
    rows: 40_000,
    rounds: 3,
    steps: 1_000_000,
  });
  const folder = await mkdtemp(join(tmpdir(), 'tiller-bench-'));
  try {
    return [...(await measureIngest(folder, rows, rounds)), measureCurve(folder, steps)];
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A way of writing the rows, and how long it took in each round. */
class Way {
  readonly times: Time[] = [];
  readonly name: string;
  readonly note: string;
  bytes = 0;

  constructor(name: string, note: string) {
    this.name = name;
    this.note = note;
  }

  /** Of the best round: whatever else runs on the machine can only slow one down. */
  rate(rows: number): number {
    return rows / Math.min(...this.times.map(({ seconds }) => seconds));
  }

  figure(rows: number): Figure {
    const wall = rows / Math.min(...this.times.map((time) => time.wall));
    const note = `${this.note}; ${Math.round(wall)} with waits for a core; ${this.bytes.toFixed(1)} bytes a row`;
    return { name: this.name, value: this.rate(rows), unit: 'rows/s', note };
  }
}

async function measureIngest(folder: string, rows: number, rounds: number): Promise<BenchResult[]> {
  const python = await venv('requirements-ingest.txt');
  const spool = join(folder, 'spool.jsonl');
  await writeSpool(spool, rows);
  const ours = new Way('Tiller, a worker: spool to synced commit', 'one thread');
  const log = new Way('Trackio, log() and finish()', 'two threads that take turns');
  const mlflow = new Way('MLflow, log_batch into SQLite', '250 rows a call, its limit');
  const stored = new Way('Tiller, ingest: parsed events to synced commit', 'one thread');
  const bulk = new Way('Trackio, SQLiteStorage.bulk_log', `${TRACKIO_BATCH} rows a call`);
  for (let round = 0; round < rounds; round++) {
    const scratch = await mkdtemp(join(folder, 'round-'));
    const { whole, storage } = await ingestSpool(scratch, spool, rows);
    ours.times.push(whole);
    stored.times.push(storage);
    ours.bytes = stored.bytes = (await stat(join(scratch, 'whole.db'))).size / rows;
    const trackio = await runPeer<{ storage: Clocked; log: Clocked; bytes: number }>(
      python,
      'ingest_trackio.py',
      [spool, scratch, String(TRACKIO_BATCH)],
    );
    bulk.times.push(timeOf(trackio.storage));
    log.times.push(timeOf(trackio.log));
    bulk.bytes = log.bytes = trackio.bytes;
    const batches = await runPeer<{ log_batch: Clocked; bytes: number }>(
      python,
      'ingest_mlflow.py',
      [spool, scratch],
    );
    mlflow.times.push(timeOf(batches.log_batch));
    mlflow.bytes = batches.bytes;
    await rm(scratch, { recursive: true });
  }
  const unit = 'durable rows/s of 4 values';
  const result = (bench: string, own: Way, ...peers: Way[]): BenchResult => ({
    bench,
    ours: own.rate(rows),
    peer: Math.max(...peers.map((peer) => peer.rate(rows))),
    unit,
    better: 'more',
    goal: { ratio: 10 },
    figures: [own, ...peers].map((way) => way.figure(rows)),
  });
  return [
    result('ingest', ours, log, mlflow),
    result('ingest, storage alone', stored, bulk, mlflow),
  ];
}

/** As bench/peers/clock.py gives it. */
type Clocked = [seconds: number, wall: number, cpu: number];
const timeOf = ([seconds, wall]: Clocked): Time => ({ seconds, wall });
