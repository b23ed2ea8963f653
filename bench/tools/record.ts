/** A record with one run in it, and a trainer's spool to take in. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { Spool } from '../../activities/training/spool.ts';
import { openRecord, type Db } from '../../db/connection.ts';
import { ingest } from '../../db/ingest.ts';
import { createLaunch, type LaunchRow } from '../../db/launches.ts';
import { takeLease, type Lease } from '../../db/leases.ts';
import { readPoints } from '../../db/metrics.ts';
import { migrate } from '../../db/migrate.ts';
import { createRun } from '../../db/runs.ts';
import type { TrainerEvent } from '../../native/protocol.ts';
import { recipeSchema } from '../../recipes/schema.ts';
import { startClock, timed, type Time } from './clock.ts';

const EPOCH = 1_000;
const lossOf = (step: number): number => 1 / Math.sqrt(step) + 0.1 * Math.abs(Math.sin(step));
const gradNormOf = (step: number): number => 1 + Math.cos(step / 7);

/** Step lines as tiller-diffusion writes them: four curves a step. */
export async function writeSpool(path: string, rows: number): Promise<void> {
  const file = createWriteStream(path);
  for (let step = 1; step <= rows; step++) {
    const line = JSON.stringify({
      event: 'step',
      step,
      epoch: Math.ceil(step / EPOCH),
      loss: lossOf(step),
      lr: 0.001 * Math.min(1, step / 100),
      grad_norm: gradNormOf(step),
      seen: step * 16,
      ms: 170 + (step % 13),
    });
    if (!file.write(`${line}\n`)) await new Promise<void>((resolve) => file.once('drain', resolve));
  }
  file.end();
  await finished(file);
}

export interface OpenRun {
  db: Db;
  lease: Lease;
  launch: LaunchRow;
}

/** A new record as the worker opens it, with a run that trains. */
export function newRun(file: string): OpenRun {
  migrate(file);
  const db = openRecord(file, { durable: true });
  const recipe = recipeSchema.parse({ data: { folder: '/nowhere' } });
  const { id } = createRun(db, {
    name: 'bench',
    recipe,
    recipeHash: 'bench',
    trainer: 'tiller-diffusion',
    device: 'cpu',
    threads: 1,
    priority: 3,
    epochs: 1,
  });
  const lease = takeLease(db, id, 'bench');
  const launch = createLaunch(db, lease, { run: id, epoch: 1, stage: 'train', folder: '/nowhere' });
  return { db, lease, launch };
}

export interface Ingested {
  /** from the spool's bytes to the synced commit */
  whole: Time;
  /** of that, from parsed events to the synced commit */
  storage: Time;
}

/** Takes the spool into a new record as a worker does, twice, and looks whether all of it is there. */
export async function ingestSpool(folder: string, path: string, rows: number): Promise<Ingested> {
  const whole = newRun(join(folder, 'whole.db'));
  const read = startClock();
  await eachBatch(path, (said, end) => ingest(whole.db, whole.lease, whole.launch, said, end));
  const time = read();
  checkRecord(whole, rows);

  const batches: Parameters<Take>[] = [];
  await eachBatch(path, (...batch) => batches.push(batch));
  const { db, lease, launch } = newRun(join(folder, 'storage.db'));
  const storage = timed(() => {
    for (const [said, end] of batches) ingest(db, lease, launch, said, end);
  });
  checkRecord({ db, lease, launch }, rows);
  return { whole: time, storage };
}

type Take = (said: { event: TrainerEvent; end: number }[], end: number) => void;

/** As activities/training/follow.ts does it. */
async function eachBatch(path: string, take: Take): Promise<void> {
  const spool = await Spool.open(path, 0);
  for (;;) {
    const lines = await spool.read();
    const last = lines.at(-1);
    if (last === undefined) break;
    const said = lines.flatMap(({ event, end }) => (event === undefined ? [] : [{ event, end }]));
    take(said, last.end);
  }
  await spool.close();
}

/** Closes the record and reads it anew. */
function checkRecord({ db: written, launch: { run } }: OpenRun, rows: number): void {
  written.close();
  const db = openRecord(written.file, { readonly: true });
  for (const name of ['loss', 'lr', 'grad_norm', 'ms']) {
    const { length } = readPoints(db, run, name);
    if (length !== rows) throw new Error(`${length} points of ${rows} are in the curve ${name}`);
  }
  const wrong = readPoints(db, run, 'loss').find(({ step, value }) => value !== lossOf(step));
  if (wrong !== undefined) throw new Error(`the loss of step ${wrong.step} is ${wrong.value}`);
  db.close();
}
