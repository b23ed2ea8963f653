/**
 * Follows a trainer to its end: takes its spool into the record, tells it what people asked for, and
 * counts what it costs. Whoever follows may die at any line: the offset moves with what was taken in.
 */
import type { Lease } from '../../db/leases.ts';
import { ingest } from '../../db/ingest.ts';
import type { LaunchRow } from '../../db/launches.ts';
import type { RunRow } from '../../db/runs.ts';
import { saveUsage } from '../../db/usage.ts';
import type { Recipe } from '../../recipes/schema.ts';
import type { Deps } from '../deps.ts';
import { deliverRequests, finishDelivered } from './deliver.ts';
import type { Outcome } from './outcome.ts';
import { startPowerMeter } from './power.ts';
import { pruneRolling } from './prune.ts';
import { keepSamples } from './keep-samples.ts';
import { Spool, type SpoolLine } from './spool.ts';
import {
  launchFiles,
  sendCommand,
  sleep,
  touchFollowed,
  type Exit,
  type Trainer,
} from './trainer-process.ts';

/** How often the spool is looked at. Short against a step, long against what looking costs. */
const POLL_MS = 100;
const TOUCH_MS = 1_000;
const USAGE_MS = 5_000;

export interface Following {
  run: RunRow;
  recipe: Recipe;
  lease: Lease;
  launch: LaunchRow;
  trainer: Trainer;
}

/**
 * @param stop tells the trainer to save and leave; following goes on until it did
 * @param abandon ends the following at once and leaves the trainer alone
 * Errors: LEASE_LOST when a newer attempt has taken over, DISK_FULL.
 */
export async function follow(
  deps: Deps,
  following: Following,
  { stop, abandon }: { stop: AbortSignal; abandon: AbortSignal },
): Promise<Outcome> {
  const { launch, trainer, recipe, run } = following;
  let exit: Exit | undefined;
  void trainer.exited.then((how) => (exit = how));
  const spool = await Spool.open(launchFiles(launch.folder).spool, launch.spool_offset);
  const meter = startPowerMeter(run.device, deps.env);
  const outcome: Outcome = {
    exit: { code: null, signal: null },
    done: undefined,
    error: undefined,
    progressed: false,
  };
  let alive = launch.started_at;
  let touched = 0;
  let counted = Date.now();
  let told = false;
  const count = (until: number) => {
    const seconds = (until - launch.started_at) / 1000;
    const watts = meter?.watts() ?? null;
    saveUsage(deps.db, following.lease, launch, {
      deviceSeconds: seconds,
      joules: seconds * (watts ?? recipe.cost.watts),
      metered: watts !== null,
      pricePerKwh: recipe.cost.price_per_kwh,
      currency: recipe.cost.currency,
    });
  };
  try {
    for (;;) {
      abandon.throwIfAborted();
      // Before the last read: what came before the end is then surely read.
      const gone = exit;
      const lines = await spool.read();
      if (lines.length > 0) await takeIn(deps, following, lines, outcome);
      else if (gone !== undefined) break;
      const now = Date.now();
      if (gone === undefined) {
        alive = now;
        deliverRequests(deps, following);
        if (stop.aborted && !told) told = sendCommand(launch.folder, { command: 'stop' });
        if (now - touched >= TOUCH_MS) {
          touched = now;
          await touchFollowed(launch.folder);
        }
        if (now - counted >= USAGE_MS) {
          counted = now;
          count(now);
        }
      }
      if (lines.length === 0) await Promise.race([sleep(POLL_MS), trainer.exited]);
    }
    // One that ended while nobody followed it cost nothing after its last word.
    count(Math.max(alive, await spool.writtenAt()));
    return { ...outcome, exit: exit ?? outcome.exit };
  } finally {
    meter?.stop();
    await spool.close();
  }
}

async function takeIn(
  deps: Deps,
  following: Following,
  lines: readonly SpoolLine[],
  outcome: Outcome,
): Promise<void> {
  const { db, log } = deps;
  const { lease, launch, run } = following;
  const events = [];
  for (const { event, text, end } of lines) {
    if (event !== undefined) events.push({ event, end });
    else
      log.warn(
        { run: run.id, launch: launch.id, line: text.slice(0, 200) },
        'no event of the protocol',
      );
  }
  const said = events.map(({ event }) => event);
  await keepSamples(
    deps,
    said.filter((event) => event.event === 'sample'),
  );
  ingest(db, lease, launch, events, lines.at(-1)?.end ?? launch.spool_offset);
  for (const event of said) {
    if (event.event === 'done') outcome.done = event;
    if (event.event === 'error') outcome.error = event;
    if (event.event === 'step' || event.event === 'checkpoint') outcome.progressed = true;
  }
  finishDelivered(deps, following, said);
  if (said.some(({ event }) => event === 'checkpoint')) await pruneRolling(deps, following);
}
