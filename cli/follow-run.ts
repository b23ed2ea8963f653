/** Shows a run until it comes to rest: a bar with loss, time left and cost, and what happens as lines. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readPoints } from '../db/metrics.ts';
import type { Db } from '../db/connection.ts';
import {
  epochsForPage,
  eventsSince,
  lastEventId,
  type ListedRun,
  runForPage,
  usageOfEpochs,
} from '../db/pages.ts';
import { formatDuration, formatLoss, formatMoney } from '../dashboards/pages/format.ts';
import { progressOf, progressTexts } from '../dashboards/progress.ts';
import { TillerError } from '../recipes/errors.ts';
import type { Screen } from './screen.ts';

const POLL_MS = 200;
/** The loss on the bar is a mean of the newest steps: a single one jumps. */
const LOSS_STEPS = 20;
/** States in which nothing more happens by itself. */
const atRest = new Set(['done', 'stopped', 'failed', 'paused']);
/** Events that a person at the terminal wants to see; samples and checkpoints are too many. */
const told = new Set(['dataset', 'resumed', 'restarted', 'difference', 'warning', 'error']);

/** Ends when the run is at rest, or when `signal` says so; gives the run as it then is. */
export async function followRun(
  db: Db,
  id: string,
  screen: Screen,
  signal?: AbortSignal,
): Promise<ListedRun> {
  const bar = screen.bar('training');
  let event = lastEventId(db);
  const said = new Set<string>(); // each trainer process warns anew of what is the same all along
  const shown = new Set(evaluated(db, id).map(({ epoch }) => epoch));
  let run = mustFind(db, id);
  try {
    for (;;) {
      for (const { id: next, kind, message } of eventsSince(db, event, id, 100)) {
        event = next;
        if (!told.has(kind) || (kind === 'warning' && said.has(message))) continue;
        said.add(message);
        screen.say(`  ${message}`);
      }
      for (const { epoch } of evaluated(db, id)) {
        if (shown.has(epoch)) continue;
        shown.add(epoch);
        screen.say(epochLine(db, run, epoch));
      }
      const fraction = run.step === 0 ? undefined : progressOf(db, run, Date.now()).fraction;
      bar.update(fraction, barText(db, run));
      if (atRest.has(run.state) || signal?.aborted === true) return run;
      await sleep(POLL_MS);
      run = mustFind(db, id);
    }
  } finally {
    bar.end();
  }
}

function mustFind(db: Db, id: string): ListedRun {
  const run = runForPage(db, id);
  if (run === undefined)
    throw new TillerError('RUN_NOT_FOUND', `Run ${id} is gone from the record`);
  return run;
}

const evaluated = (db: Db, id: string) =>
  epochsForPage(db, id).filter(({ state }) => state === 'evaluated');

function barText(db: Db, run: ListedRun): string {
  const { state, doing, epoch, step, pace, left, money } = progressTexts(db, run, Date.now());
  const now = [run.state === 'training' && run.step > 0 ? '' : state, doing];
  const words = now.filter((each) => each !== '').join(', ');
  if (run.step === 0) return `${run.name}: ${words}`;
  const loss = recentLoss(db, run);
  const last = words === '' ? '' : ` · ${words}`;
  return `epoch ${epoch} · step ${step} · loss ${loss} · ${pace} · ${left} left · ${money}${last}`;
}

function recentLoss(db: Db, { id, step }: ListedRun): string {
  const points = readPoints(db, id, 'loss', Math.max(1, step - LOSS_STEPS + 1), step);
  if (points.length === 0) return '–';
  return formatLoss(points.reduce((sum, { value }) => sum + value, 0) / points.length);
}

/** "epoch 6 of 13   train 0.2440   validation 0.2710   25 s   €0.0004" */
export function epochLine(db: Db, run: ListedRun, epoch: number): string {
  const row = epochsForPage(db, run.id).find((candidate) => candidate.epoch === epoch);
  const usage = usageOfEpochs(db, run.id).find((candidate) => candidate.epoch === epoch);
  return [
    `epoch ${String(epoch).padStart(String(run.epochs).length)} of ${run.epochs}`,
    `train ${formatLoss(row?.trainLoss).padStart(6)}`,
    `validation ${formatLoss(row?.validationLoss).padStart(6)}`,
    ...(usage === undefined
      ? []
      : [formatDuration(usage.seconds), formatMoney(usage.money, usage.currency)]),
  ].join('   ');
}
