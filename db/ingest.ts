/**
 * Takes a trainer's lines into the record: all that they say and how far the spool was read, in one
 * transaction, so that nothing is lost or doubled wherever a follower dies.
 */
import { and, eq } from 'drizzle-orm';
import type { EventOf, TrainerEvent } from '../native/protocol.ts';
import type { Db } from './connection.ts';
import { addCheckpoint } from './checkpoints.ts';
import { appendEvent } from './events.ts';
import { addEvaluation } from './evaluations.ts';
import type { LaunchRow } from './launches.ts';
import { holding, type Lease } from './leases.ts';
import { appendPoint, seriesId } from './metrics.ts';
import { getRun, updateRun, type RunRow } from './runs.ts';
import { addSample } from './samples.ts';
import * as schema from './schema.ts';

/** What is compared bit by bit when a step is done again. Times differ, of course. */
const REPEATABLE = ['loss', 'lr', 'grad_norm'] as const;

/**
 * @param events events in the order of the spool
 * @param offset bytes of the spool that are taken in with them
 * Errors: LEASE_LOST.
 */
export function ingest(
  db: Db,
  lease: Lease,
  launch: LaunchRow,
  events: readonly TrainerEvent[],
  offset: number,
): void {
  holding(db, lease, () => {
    const run = getRun(db, launch.run);
    const steps = events.filter((event) => event.event === 'step');
    if (steps.length > 0) takeSteps(db, run, launch, steps);
    for (const event of events) takeOther(db, run, launch, event);
    db.orm
      .update(schema.launch)
      .set({ spool_offset: offset })
      .where(eq(schema.launch.id, launch.id))
      .run();
  });
}

function takeSteps(
  db: Db,
  run: RunRow,
  launch: LaunchRow,
  steps: readonly EventOf<'step'>[],
): void {
  const [first] = steps;
  const redone = first !== undefined && first.step <= run.step;
  if (redone)
    noteOnce(db, launch, 'resumed', {
      step: first.step - 1,
      message: `resumed from step ${first.step - 1}: ${run.step - first.step + 1} steps are done again`,
    });
  const ids = new Map<string, number>();
  const idOf = (name: string): number => {
    const id = ids.get(name) ?? seriesId(db, run.id, name);
    ids.set(name, id);
    return id;
  };
  for (const event of steps) {
    for (const name of REPEATABLE) {
      const value = event[name];
      if (value === undefined) continue;
      const before = appendPoint(db, idOf(name), { step: event.step, value });
      if (before !== undefined)
        noteOnce(db, launch, 'difference', {
          step: event.step,
          code: 'STEP_DIFFERS',
          message: `step ${event.step}, done again, has ${name} ${value}; it was ${before}`,
        });
    }
    if (event.ms !== undefined) appendPoint(db, idOf('ms'), { step: event.step, value: event.ms });
  }
  const newest = Math.max(run.step, ...steps.map(({ step }) => step));
  updateRun(db, run.id, { step: newest, last_step_at: Date.now() });
}

function takeOther(db: Db, run: RunRow, launch: LaunchRow, event: TrainerEvent): void {
  const at = { run: run.id, epoch: launch.epoch };
  switch (event.event) {
    case 'hello':
      return takeHello(db, run, launch, event);
    case 'validation':
      return addEvaluation(db, run.id, event);
    case 'checkpoint':
      return addCheckpoint(db, run.id, event);
    case 'sample':
      return addSample(db, run.id, event);
    case 'warning':
    case 'error': {
      const { code, message, hint } = event;
      const text = hint === undefined ? message : `${message}. ${hint}`;
      return appendEvent(db, { ...at, kind: event.event, code, message: text });
    }
    default:
  }
}

/** The first trainer's kind of machine is the run's; on another one the same bits can't be promised. */
function takeHello(db: Db, run: RunRow, launch: LaunchRow, hello: EventOf<'hello'>): void {
  const fingerprint = JSON.stringify(hello.fingerprint);
  updateRun(db, run.id, {
    knows: hello.knows.join(','),
    ...(run.fingerprint === null ? { fingerprint } : {}),
  });
  if (run.fingerprint === null || run.fingerprint === fingerprint) return;
  noteOnce(db, launch, 'warning', {
    code: 'FINGERPRINT_CHANGED',
    message: `the run began on ${run.fingerprint} and goes on on ${fingerprint}: its bits are not promised from here on`,
  });
}

/** One event of a kind a launch, however many lines give cause for it. */
function noteOnce(
  db: Db,
  launch: LaunchRow,
  kind: string,
  note: { message: string; step?: number; code?: string },
): void {
  const { event } = schema;
  const data = JSON.stringify({ launch: launch.id });
  const known = db.orm
    .select({ id: event.id })
    .from(event)
    .where(and(eq(event.run, launch.run), eq(event.kind, kind), eq(event.data, data)))
    .get();
  if (known !== undefined) return;
  appendEvent(db, {
    run: launch.run,
    kind,
    epoch: launch.epoch,
    ...note,
    data: { launch: launch.id },
  });
}
