/** The run page: state and its reason, controls, validation and the latest samples; then the rest. */
import { html } from 'hono/html';
import type {
  ListedRun,
  ShownEpoch,
  ShownEvaluation,
  ShownEvent,
  ShownSample,
  EpochUsage,
} from '../../db/pages.ts';
import type { KeptCheckpoint, PlannedMemory, ShownRequest } from '../../db/page-details.ts';
import type { Making } from '../doing.ts';
import type { Offers } from '../offers.ts';
import { recipeOf, toneOf } from '../progress.ts';
import { controls } from './controls.ts';
import { epochsTable } from './epochs.ts';
import { formatDay, formatMoment } from './format.ts';
import { dot, type Html } from './layout.ts';
import { memorySection } from './memory.ts';
import { lossSection, validationSection, type CurveView } from './curves.ts';
import { promptsSection } from './prompts.ts';
import { latestSamples, samplesGrid } from './samples.ts';

export interface RunPage {
  readonly run: ListedRun;
  readonly texts: Record<string, string>;
  readonly epochs: readonly ShownEpoch[];
  readonly evaluations: readonly ShownEvaluation[];
  readonly samples: readonly ShownSample[];
  readonly usage: readonly EpochUsage[];
  readonly requests: readonly ShownRequest[];
  readonly offers: Offers;
  /** what a forced stop costs */
  readonly lost: string;
  readonly events: readonly ShownEvent[];
  readonly curves: readonly string[];
  readonly checkpoint: KeptCheckpoint | undefined;
  /** the sample that is being made */
  readonly making: Making | null;
  readonly memory: PlannedMemory | undefined;
  readonly view: CurveView;
  readonly now: number;
}

const SHOWN_LINES = 24;

const figure = (label: string, name: string, texts: Record<string, string>): Html =>
  html`<div class="fact">
    <dt>${label}</dt>
    <dd data-field="${name}">${texts[name] ?? '–'}</dd>
  </div>`;

/** What failed, what is safe, and one thing to do. */
const failure = (page: RunPage): Html | string => {
  const { run, checkpoint } = page;
  if (run.state !== 'failed') return '';
  const safe =
    checkpoint === undefined
      ? run.step === 0
        ? 'Nothing was trained yet; the recipe is kept.'
        : 'No checkpoint is on disk any more. All samples and figures are kept.'
      : `Safe: everything up to the checkpoint at step ${checkpoint.step} (epoch ${checkpoint.epoch}), all samples and figures.`;
  return html`<section class="failure" aria-labelledby="failure-title">
    <h2 id="failure-title">This run failed</h2>
    <p>
      ${run.reason ?? 'No reason was recorded.'}
      ${run.code === null ? '' : html`<code>${run.code}</code>`}
    </p>
    <p class="quiet">${safe}</p>
  </section>`;
};

/** Samples of one evaluation come one by one and are told as one. */
const gathered = (events: readonly ShownEvent[]): { event: ShownEvent; words: string }[] => {
  const lines: { event: ShownEvent; words: string; count: number }[] = [];
  for (const event of events) {
    const last = lines.at(-1);
    const joins =
      event.kind === 'sample' &&
      last?.event.kind === 'sample' &&
      last.event.epoch === event.epoch &&
      last.event.step === event.step;
    if (joins) {
      last.count += 1;
      last.words = `${last.count} samples of epoch ${event.epoch ?? 0}`;
    } else {
      lines.push({ event, words: event.message, count: 1 });
    }
  }
  return lines.slice(0, SHOWN_LINES);
};

const eventsLog = (page: RunPage): Html => html`
  <section aria-labelledby="events-title">
    <h2 id="events-title">Events</h2>
    <div data-region="events">
      ${
        page.events.length === 0
          ? html`<p class="quiet">Nothing has happened yet.</p>`
          : html`<ol class="events" reversed>
              ${gathered(page.events).map(
                ({ event, words }) =>
                  html`<li class="${event.kind === 'error' ? 'bad' : ''}">
                    <time datetime="${new Date(event.at).toISOString()}"
                      >${formatMoment(event.at, page.now)}</time
                    >
                    <span class="kind">${event.kind}</span>
                    <span
                      >${words}${event.code === null ? '' : html` <code>${event.code}</code>`}</span
                    >
                  </li>`,
              )}
            </ol>`
      }
    </div>
  </section>
`;

const recipeSection = (page: RunPage): Html => html`
  <section>
    <details id="recipe">
      <summary><h2>Recipe</h2></summary>
      <pre class="recipe"><code>${JSON.stringify(recipeOf(page.run), undefined, 2)}</code></pre>
    </details>
  </section>
`;

export const runPage = (page: RunPage): Html => {
  const { run, texts } = page;
  return html`
    <div class="page-head">
      <p class="crumbs"><a href="/">Runs</a></p>
      <h1>${run.name}</h1>
      <p class="state" data-region="state">
        ${dot(toneOf(run), '')}<strong data-field="state">${texts['state'] ?? ''}</strong>
        ${
          run.reason === null || run.state === 'failed'
            ? ''
            : html`<span class="reason">${run.reason}</span>`
        }
        <span class="quiet" data-field="doing">${texts['doing'] ?? ''}</span>
        <span class="quiet" data-field="old">${texts['old'] ?? ''}</span>
      </p>
      ${controls(run, page.requests, page.lost, page.now)}
    </div>
    <div data-region="failure">${failure(page)}</div>
    <dl class="facts">
      ${figure('Epoch', 'epoch', texts)} ${figure('Step', 'step', texts)}
      ${figure('Pace', 'pace', texts)} ${figure('Time left', 'left', texts)}
      ${figure('Energy', 'energy', texts)} ${figure('Cost', 'money', texts)}
      <div class="fact">
        <dt>Started</dt>
        <dd>${run.startedAt === null ? 'not yet' : formatDay(run.startedAt)}</dd>
      </div>
      <div class="fact">
        <dt>Device</dt>
        <dd>${run.device}</dd>
      </div>
    </dl>
    <progress
      class="wide"
      max="1"
      value="${texts['fraction'] ?? '0'}"
      data-field-value="fraction"
      aria-label="Progress of the run"
    ></progress>
    <div class="two">${validationSection(page)} ${latestSamples(page)}</div>
    ${lossSection(page)} ${epochsTable(page)} ${samplesGrid(page)}
    ${promptsSection(run, page.offers.prompts)} ${eventsLog(page)} ${memorySection(page)}
    ${recipeSection(page)}
  `;
};
