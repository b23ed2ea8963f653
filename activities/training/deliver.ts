/** Takes what people asked for to the trainer, and notes when it was done. */
import type { LaunchRow } from '../../db/launches.ts';
import { activePrompts } from '../../db/prompts.ts';
import {
  deliverRequest,
  finishRequest,
  openRequests,
  pendingDeliveries,
  refuseRequest,
  type RequestRow,
} from '../../db/requests.ts';
import { hasSamples } from '../../db/samples.ts';
import type { TrainerCommand, TrainerEvent } from '../../native/protocol.ts';
import type { Deps } from '../deps.ts';
import type { Following } from './follow.ts';
import { killTrainer, sendCommand } from './trainer-process.ts';

/** Requests that a trainer must hear of now. A pause or stop after the epoch needs no word to it. */
export function deliverRequests({ db, log }: Deps, { run, launch, trainer }: Following): void {
  for (const request of pendingDeliveries(db, run.id)) {
    if (isForced(request)) {
      killTrainer(trainer.pid, trainer.start);
      deliverRequest(db, request.id);
      continue;
    }
    const prompts = request.verb === 'sample' ? samplable(db, launch) : [];
    if (request.verb === 'sample' && prompts.length === 0) {
      refuseRequest(db, request.id, 'it has no prompts that its trainer knows of');
      continue;
    }
    const command = commandFor(request, prompts);
    if (command === undefined) continue;
    if (sendCommand(launch.folder, command)) deliverRequest(db, request.id);
    else log.info({ run: run.id, request: request.id }, 'the trainer is gone: the request waits');
  }
}

/** There is no word for it: a trainer that has not stopped when it was told to may hear none. */
const isForced = ({ verb, arguments: text }: RequestRow): boolean =>
  verb === 'stop' && (JSON.parse(text) as { after?: string }).after === 'now';

/** What the trainer heard of when it was started. */
const samplable = (db: Deps['db'], { run, started_at: started }: LaunchRow): number[] =>
  activePrompts(db, run)
    .filter(({ created_at: created }) => created <= started)
    .map(({ position }) => position);

function commandFor(
  { id, verb, arguments: text }: RequestRow,
  prompts: number[],
): TrainerCommand | undefined {
  const { after } = JSON.parse(text) as { after?: string };
  if (verb === 'save') return { command: 'save', request: id };
  if (verb === 'sample') return { command: 'sample', request: id, prompts };
  if ((verb === 'pause' || verb === 'stop') && after === 'step')
    return { command: 'stop', request: id };
  return undefined;
}

/** A save is done with its checkpoint; a sampling with the first step after its last picture. */
export function finishDelivered(
  { db }: Deps,
  { run }: Following,
  events: readonly TrainerEvent[],
): void {
  if (!events.some(({ event }) => event === 'checkpoint' || event === 'step' || event === 'done'))
    return;
  const open = openRequests(db, run.id);
  if (open.length === 0) return;
  for (const { id, verb } of open) {
    const sampled = events.findLastIndex(
      (event) => event.event === 'sample' && event.request === id,
    );
    const saved = events.some(
      (event) => event.event === 'checkpoint' && event.kind === 'requested',
    );
    const moved = events.some(
      ({ event }, index) => index > sampled && (event === 'step' || event === 'done'),
    );
    if (verb === 'save' && saved) finishRequest(db, id);
    if (verb === 'sample' && moved && (sampled >= 0 || hasSamples(db, id))) finishRequest(db, id);
  }
}
