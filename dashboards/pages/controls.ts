/** What a person can ask of a run, and what became of what was asked. */
import { html } from 'hono/html';
import type { ListedRun } from '../../db/pages.ts';
import type { ShownRequest } from '../../db/page-details.ts';
import { formatClock, formatDuration } from './format.ts';
import type { Html } from './layout.ts';
import { deleteMenu, extendMenu } from './run-menus.ts';

/** Those that a button asks for; the others need a word of a person's. */
export const plainVerbs = ['pause', 'resume', 'stop', 'save', 'sample'] as const;
export type Verb = (typeof plainVerbs)[number] | 'extend' | 'delete' | 'prompts' | 'make';

const SILENT_MS = 60_000;

const canPause = new Set([
  'queued',
  'preparing',
  'waiting',
  'training',
  'evaluating',
  'interrupted',
]);
const canResume = new Set(['paused', 'pausing', 'stopped', 'failed']);
const canStop = new Set([...canPause, 'paused', 'pausing']);
const canExtend = new Set([...canStop, 'done']);
const canDelete = new Set(['done', 'stopped', 'failed']);

/** Verbs that make sense in a state. */
export const verbsOf = (state: string): Set<Verb> => {
  const possible = new Set<Verb>();
  if (canPause.has(state)) possible.add('pause');
  if (canResume.has(state)) possible.add('resume');
  if (state === 'training') possible.add('save').add('sample');
  if (canStop.has(state)) possible.add('stop');
  if (canExtend.has(state)) possible.add('extend');
  if (canDelete.has(state)) possible.add('delete');
  return possible;
};

const button = (verb: Verb, words: string, after?: string): Html =>
  html`<button
    type="button"
    class="button"
    data-verb="${verb}"
    ${after === undefined ? '' : html`data-after="${after}"`}
  >
    ${words}
  </button>`;

const verbWords: Record<string, string> = {
  pause: 'Pause',
  resume: 'Resume',
  stop: 'Stop',
  save: 'Save',
  sample: 'Sample now',
  extend: 'More epochs:',
  delete: 'Delete',
  prompts: 'Prompts',
  make: 'Sample of epoch',
};

const time = (words: string, at: number | null): Html | string =>
  at === null
    ? ''
    : html`<span class="moment done"
        >${words} <time datetime="${new Date(at).toISOString()}">${formatClock(at)}</time></span
      >`;

const isWaiting = ({ refused, doneAt }: ShownRequest): boolean =>
  refused === null && doneAt === null;

interface Arguments {
  after?: string;
  epochs?: number;
  epoch?: number;
}

const argumentsOf = ({ arguments: text }: ShownRequest): Arguments => JSON.parse(text) as Arguments;

/**
 * When a request has been open for too long: nobody took it, or a pause or stop is not done. One after
 * the epoch has time until then.
 */
const forceableAt = (request: ShownRequest): number | undefined => {
  const { verb, acknowledgedAt, requestedAt } = request;
  const { after } = argumentsOf(request);
  if (!isWaiting(request) || after === 'now') return undefined;
  const inTime = after === 'epoch' || (verb !== 'pause' && verb !== 'stop');
  return inTime && acknowledgedAt !== null ? undefined : requestedAt + SILENT_MS;
};

/** Offered only when the kind way has failed, and with its price. */
const forcedStop = (requests: readonly ShownRequest[], lost: string, now: number): Html | string =>
  requests.some((request) => (forceableAt(request) ?? Infinity) <= now)
    ? html`<p class="forced">${button('stop', 'Stop now', 'now')} <span>${lost}</span></p>`
    : '';

const requestLine = (request: ShownRequest, now: number): Html => {
  const { after, epochs, epoch } = argumentsOf(request);
  const when = after === undefined ? '' : after === 'now' ? ' now' : ` after the ${after}`;
  const waiting = isWaiting(request);
  const silent =
    waiting && request.acknowledgedAt === null && now - request.requestedAt > SILENT_MS;
  return html`<li data-request="${request.id}">
    <strong>${verbWords[request.verb] ?? request.verb}${when} ${epochs ?? epoch ?? ''}</strong>
    ${time('requested', request.requestedAt)} ${time('acknowledged', request.acknowledgedAt)}
    ${time('delivered', request.deliveredAt)} ${time('done', request.doneAt)}
    ${
      request.refused === null
        ? ''
        : html`<span class="moment bad">refused: ${request.refused}</span>`
    }
    ${waiting && !silent ? html`<span class="moment waiting">…</span>` : ''}
    ${
      silent
        ? html`<span class="moment bad"
            >no answer for ${formatDuration((now - request.requestedAt) / 1000)}: is the worker
            alive? <code>tiller doctor</code> says</span
          >`
        : ''
    }
  </li>`;
};

/** @param lost what a forced stop costs */
export const controls = (
  run: ListedRun,
  requests: readonly ShownRequest[],
  lost: string,
  now: number,
): Html => {
  const possible = verbsOf(run.state);
  const due = requests.map((request) => forceableAt(request) ?? 0).filter((at) => at > now);
  return html`<div
    class="controls"
    data-region="controls"
    data-due="${due.length === 0 ? '' : Math.min(...due)}"
  >
    <div class="buttons" role="group" aria-label="Controls of ${run.name}">
      ${possible.has('resume') ? button('resume', 'Resume') : ''}
      ${possible.has('pause') ? button('pause', 'Pause', 'step') : ''}
      ${possible.has('sample') ? button('sample', 'Sample now') : ''}
      ${possible.has('save') ? button('save', 'Save') : ''}
      ${
        possible.has('stop')
          ? html`<details class="menu" id="stop-menu">
              <summary class="button">Stop</summary>
              <div class="menu-items">
                ${button('stop', 'After this step', 'step')}
                ${button('stop', 'After this epoch', 'epoch')}
                ${possible.has('pause') ? button('pause', 'Pause after this epoch', 'epoch') : ''}
              </div>
            </details>`
          : ''
      }
      ${possible.has('extend') ? extendMenu(run) : ''}
      ${possible.has('delete') ? deleteMenu(run) : ''}
    </div>
    ${
      requests.length === 0
        ? ''
        : html`<ol class="requests" aria-label="What was asked">
            ${requests.slice(0, 3).map((request) => requestLine(request, now))}
          </ol>`
    }
    ${possible.has('stop') || run.state === 'stopping' ? forcedStop(requests, lost, now) : ''}
  </div>`;
};
