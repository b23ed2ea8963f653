/**
 * Takes what a trainer said into the record, exactly once: all of it, and how far its spool has been
 * read, in one transaction under the run's lease. The same lines again change nothing.
 */
import { saveCheckpoint } from './checkpoints.ts';
import { prepared, type Db } from './connection.ts';
import { noteDifference } from './differences.ts';
import { doingAfter } from './doing.ts';
import { saveEvaluation } from './evaluations.ts';
import { appendEvent } from './events.ts';
import { getLaunch, type LaunchRow } from './launches.ts';
import { leased, type Lease } from './leases.ts';
import { getRun, updateRun, type RunRow } from './runs.ts';
import { promptId, promptsOf } from './prompts.ts';
import { saveSample } from './samples.ts';
import type { EventOf, Said, SaidLine } from './said.ts';
import { saveSteps } from './steps.ts';
import { launch as table } from './schema.ts';
import { eq } from './drizzle.ts';

export type { Said, SaidLine } from './said.ts';

export interface IngestResult {
  /** lines that were not taken in before */
  taken: number;
  /** points that were new, and steps that were done before */
  points: number;
  redone: number;
  /** bytes of the spool that are taken in now */
  offset: number;
}

/**
 * @param lines each with the offset of its end; those that end at or before what the record has are skipped
 * @param newOffset how far the spool has been read, with lines that were no events
 * Errors: LEASE_LOST, RECORD_BUSY, DISK_FULL; then nothing was taken in.
 */
export const ingest = (
  db: Db,
  lease: Lease,
  launch: { id: number; run: string },
  lines: readonly SaidLine[],
  newOffset: number,
): IngestResult =>
  leased(db, lease, launch.run, () => {
    const row = getLaunch(db, launch.id);
    const fresh = lines.filter(({ end }) => end > row.spool_offset).map(({ event }) => event);
    const steps = fresh.filter((event): event is EventOf<'step'> => event.event === 'step');
    const { points, redone } = saveSteps(db, row, steps);
    let { last_step } = row;
    for (const event of fresh) {
      if (event.event === 'step') last_step = event.step;
      else take(db, row, event, last_step);
    }
    const offset = Math.max(row.spool_offset, newOffset);
    const first_step = row.first_step ?? steps[0]?.step ?? null;
    if (offset > row.spool_offset) {
      const reached = { spool_offset: offset, first_step, last_step, ...doingAfter(row, fresh) };
      db.orm.update(table).set(reached).where(eq(table.id, row.id)).run();
    }
    return { taken: fresh.length, points, redone, offset };
  });

/** @param step the launch's last one before the event */
function take(db: Db, launch: LaunchRow, event: Said, step: number | null): void {
  switch (event.event) {
    case 'hello':
      return takeHello(db, launch, event);
    case 'validation':
      return takeValidation(db, launch, event);
    case 'checkpoint':
      return takeCheckpoint(db, launch, event);
    case 'sample':
      return takeSample(db, launch, event);
    case 'warning':
    case 'error':
      return takeWords(db, launch, event, step);
  }
}

/** A trainer that is started every epoch warns of the same thing every epoch: a run is told once. */
function takeWords(
  db: Db,
  { id, run, epoch }: LaunchRow,
  { event: kind, code, message, hint }: EventOf<'warning' | 'error'>,
  step: number | null,
): void {
  const text = hint === undefined ? message : `${message}. ${hint}`;
  const said = prepared<[string, string, string], unknown>(
    db,
    `SELECT 1 FROM event WHERE run = ? AND kind = 'warning' AND code = ? AND message = ? LIMIT 1`,
  ).get(run, code, text);
  if (kind === 'warning' && said !== undefined) return;
  appendEvent(db, { run, kind, epoch, step, code, message: text, data: { launch: id } });
}

/** The first hello says what the run is made on; another machine later may not give the same bits. */
function takeHello(
  db: Db,
  { run: id, epoch }: LaunchRow,
  { fingerprint, knows }: EventOf<'hello'>,
): void {
  const run = getRun(db, id);
  const print = JSON.stringify(Object.fromEntries(Object.entries(fingerprint).sort()));
  updateRun(db, id, { knows: knows.join(','), fingerprint: print });
  if (run.fingerprint === null || run.fingerprint === print) return;
  appendEvent(db, {
    run: id,
    kind: 'device',
    epoch,
    step: run.step,
    code: 'DEVICE_DIFFERS',
    message: `the trainer runs on something else than before: ${changes(run, fingerprint)}`,
    data: { before: run.fingerprint, now: print },
  });
}

function changes(run: RunRow, now: Record<string, unknown>): string {
  const before = JSON.parse(run.fingerprint ?? '{}') as Record<string, unknown>;
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => before[key] !== now[key])
    .map((key) => `${key} ${String(before[key])} → ${String(now[key])}`)
    .join(', ');
}

function takeValidation(db: Db, launch: LaunchRow, event: EventOf<'validation'>): void {
  const { step, epoch, loss, bins, weights, items = null } = event;
  const { run } = launch;
  const { recorded } = saveEvaluation(db, { run, epoch, step, weights, loss, bins, items });
  if (recorded !== undefined) {
    noteDifference(db, launch, {
      code: 'VALIDATION_DIFFERS',
      what: `validation loss (${weights})`,
      step,
      recorded,
      redone: loss,
    });
    return;
  }
  appendEvent(db, {
    run,
    kind: 'validation',
    epoch,
    step,
    message: `validation loss ${loss.toPrecision(4)} (${weights})`,
  });
}

function takeCheckpoint(db: Db, launch: LaunchRow, event: EventOf<'checkpoint'>): void {
  const { step, epoch, path, sha256, bytes, kind } = event;
  const { run } = launch;
  const other = saveCheckpoint(db, { run, epoch, step, kind, path, sha256, bytes });
  if (other !== undefined) {
    const { before: recorded, now: redone } = other;
    noteDifference(db, launch, {
      code: 'WEIGHTS_DIFFER',
      what: 'checkpoint',
      step,
      recorded,
      redone,
    });
  }
  appendEvent(db, {
    run,
    kind: 'checkpoint',
    epoch,
    step,
    message: `${kind} checkpoint at step ${step}`,
    data: { path },
  });
}

function takeSample(db: Db, launch: LaunchRow, event: EventOf<'sample'>): void {
  const { run } = launch;
  const { step, epoch, prompt: position, sha256, guidance } = event;
  const prompt = promptId(run, position);
  if (!promptsOf(db, run).some(({ id }) => id === prompt)) {
    appendEvent(db, {
      run,
      kind: 'warning',
      epoch,
      step,
      code: 'TRAINER_PROTOCOL',
      message: `the trainer made a sample of prompt ${position}, which the run does not have`,
    });
    return;
  }
  const { seed, sampler, sampling_steps, width, height, weights, request = null } = event;
  const from = { prompt, seed, sampler, sampling_steps, guidance, width, height, weights };
  const { recorded } = saveSample(db, { run, epoch, step, ...from, artifact: sha256, request });
  if (recorded !== undefined) {
    noteDifference(db, launch, {
      code: 'SAMPLE_DIFFERS',
      what: `sample of prompt ${position}`,
      step,
      recorded,
      redone: sha256,
    });
    return;
  }
  appendEvent(db, {
    run,
    kind: 'sample',
    epoch,
    step,
    message: `sample of prompt ${position} at step ${step}`,
  });
}
