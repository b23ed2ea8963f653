/** Two epochs of any runs: the pictures first, then one sentence, then what differs. */
import { html } from 'hono/html';
import type { ShownSample } from '../../db/pages.ts';
import type { Offer } from '../offers.ts';
import type { Pair } from '../pairing.ts';
import {
  binsSection,
  costSection,
  settingsSection,
  verdictSentence,
  type Facts,
} from './compare-facts.ts';
import type { Html } from './layout.ts';

export const modes = ['side', 'slider', 'flicker', 'difference', 'grid'] as const;
export type Mode = (typeof modes)[number];

const modeWords: Record<Mode, string> = {
  side: 'Side',
  slider: 'Slider',
  flicker: 'Flicker',
  difference: 'Diff',
  grid: 'Grid',
};

export interface Side {
  readonly run: string;
  readonly name: string;
  readonly epoch: number;
}

export interface RunChoice {
  readonly id: string;
  readonly name: string;
  /** Epochs that were evaluated, ascending. */
  readonly epochs: readonly number[];
}

/** With what can be made where a side is missing. */
export interface OfferedPair extends Pair {
  readonly offers: { readonly a?: Offer | undefined; readonly b?: Offer | undefined };
}

export interface ComparePage {
  readonly a: Side;
  readonly b: Side;
  readonly choices: readonly RunChoice[];
  readonly pairs: readonly OfferedPair[];
  /** Index of the pair that is shown. */
  readonly shown: number;
  /** Left out: what suits the screen. */
  readonly mode: Mode | undefined;
  readonly facts: Facts;
}

/** "emoji-13@10"; the epoch alone where both sides are of one run. */
const sideName = (page: ComparePage, side: Side): string =>
  page.a.run === page.b.run ? `epoch ${side.epoch}` : `${side.name}, epoch ${side.epoch}`;

const picker = (page: ComparePage, which: 'a' | 'b'): Html => {
  const chosen = page[which];
  return html`<label class="picker side-${which}"
    ><span class="side-letter">${which.toUpperCase()}</span>
    <select name="${which}" aria-label="${which.toUpperCase()}: run and epoch">
      ${page.choices.map(
        (run) =>
          html`<optgroup label="${run.name}">
            ${run.epochs.map(
              (epoch) =>
                html`<option
                  value="${run.id}@${epoch}"
                  ${run.id === chosen.run && epoch === chosen.epoch ? html`selected` : ''}
                >
                  ${run.name} @ ${epoch}
                </option>`,
            )}
          </optgroup>`,
      )}
    </select></label
  >`;
};

const describe = (sample: ShownSample): string =>
  `seed ${sample.seed}, ${sample.sampler.toUpperCase()} ${sample.steps}, guidance ${sample.guidance}, ${sample.width}×${sample.height}, ${sample.weights}`;

/** What the pictures share, or what they don't. */
const sameness = (page: ComparePage, pair: Pair | undefined): Html | string => {
  if (pair === undefined) return '';
  const known = pair.b ?? pair.a;
  if (known === undefined) return '';
  if (pair.a === undefined || pair.b === undefined) {
    const missing = pair.a === undefined ? page.a : page.b;
    return html`<span class="warn-words">Not sampled at ${sideName(page, missing)}.</span>`;
  }
  if (pair.differs.length > 0) {
    return html`<span class="warn-words">Not the same ${pair.differs.join(', ')}.</span>`;
  }
  return html`Same prompt, same seed <span class="quiet">${describe(known)}</span>`;
};

interface Shot {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

const shotOf = (sample: ShownSample | undefined): Shot | null =>
  sample === undefined ? null : { id: sample.id, width: sample.width, height: sample.height };

/** What the script needs to move between prompts without asking. */
const stageData = (page: ComparePage): string =>
  JSON.stringify({
    a: page.a,
    b: page.b,
    names: { a: sideName(page, page.a), b: sideName(page, page.b) },
    epochs: Object.fromEntries(page.choices.map((run) => [run.id, run.epochs])),
    pairs: page.pairs.map((pair) => ({
      text: pair.line,
      a: shotOf(pair.a),
      b: shotOf(pair.b),
      zero: shotOf(pair.zero),
      offers: pair.offers,
    })),
    shown: page.shown,
    mode: page.mode ?? null,
  });

const pane = (page: ComparePage, which: 'a' | 'b', pair: Pair | undefined): Html => {
  const sample = pair?.[which];
  return html`<figure class="pane side-${which}" data-pane="${which}">
    <figcaption>
      <span class="side-letter">${which.toUpperCase()}</span>
      <span data-caption>${sideName(page, page[which])}</span>
    </figcaption>
    <div class="view" data-view>
      ${
        sample === undefined
          ? html`<p class="absent">Not sampled at ${sideName(page, page[which])}</p>`
          : html`<img
              src="/media/${sample.id}"
              alt="${pair?.line ?? ''}, ${sideName(page, page[which])}"
              width="${sample.width}"
              height="${sample.height}"
              draggable="false"
            />`
      }
    </div>
  </figure>`;
};

const promptChooser = (page: ComparePage, pair: Pair | undefined): Html => html`
  <div class="prompt-bar">
    <div class="stepper" role="group" aria-label="Prompt">
      <button type="button" class="button small" id="prompt-before" aria-label="Prompt before">
        ‹
      </button>
      <label class="prompt-choice"
        ><span class="quiet">prompt</span>
        <select name="prompt" id="prompt" aria-label="Prompt">
          ${page.pairs.map(
            (each, index) =>
              html`<option value="${index + 1}" ${index === page.shown ? html`selected` : ''}>
                ${index + 1} of ${page.pairs.length}: ${each.line.slice(0, 100)}
              </option>`,
          )}
        </select></label
      >
      <button type="button" class="button small" id="prompt-after" aria-label="Next prompt">
        ›
      </button>
    </div>
    <p class="sameness">
      ${sameness(page, pair)}
      ${pair?.negative ? html`<span class="quiet">without: ${pair.negative}</span>` : ''}
    </p>
  </div>
`;

const toolbar = (page: ComparePage): Html => html`
  <div class="modes" role="group" aria-label="How the pictures are compared">
    ${modes.map(
      (mode, index) =>
        html`<button
          type="button"
          class="button small"
          data-mode="${mode}"
          aria-pressed="${mode === (page.mode ?? 'side') ? 'true' : 'false'}"
          aria-keyshortcuts="${index + 1}"
        >
          <span class="key" aria-hidden="true">${index + 1}</span>${modeWords[mode]}
        </button>`,
    )}
  </div>
`;

const zoomBar = (): Html => html`
  <div class="zoom" role="group" aria-label="Zoom and sides">
    <button type="button" class="button small" id="zoom-out" aria-label="Zoom out">−</button>
    <output id="zoom-level" aria-label="Zoom">fit</output>
    <button type="button" class="button small" id="zoom-in" aria-label="Zoom in">+</button>
    <button type="button" class="button small" id="zoom-fit">Fit</button>
    <button type="button" class="button small" id="zoom-actual">100 %</button>
    <button type="button" class="button small" id="swap">Swap A and B</button>
    <button type="button" class="button small" id="baseline" aria-pressed="false">Epoch 0</button>
    <button type="button" class="button small" id="unlink" aria-pressed="false">Unlink</button>
  </div>
`;

export const comparePage = (page: ComparePage): Html => {
  const pair = page.pairs[page.shown];
  return html`
    <form class="page-head compare-head" id="compare-form" method="get" action="/compare">
      <h1>Compare</h1>
      <div class="pickers" data-region="pickers">${picker(page, 'a')} ${picker(page, 'b')}</div>
      ${toolbar(page)}
      <noscript><button class="button">Show</button></noscript>
    </form>
    <section class="stage-section" aria-label="Pictures">
      <div data-region="prompt-bar">${promptChooser(page, pair)}</div>
      <div id="stage-data" data-region="stage-data" data-stage="${stageData(page)}" hidden></div>
      <div class="stage" id="stage" data-mode="${page.mode ?? 'side'}">
        ${
          page.pairs.length === 0
            ? html`<p class="absent">Neither side has samples.</p>`
            : html`${pane(page, 'a', pair)} ${pane(page, 'b', pair)}`
        }
      </div>
      <div id="mode-tools" class="mode-tools"></div>
      ${zoomBar()}
    </section>
    <div data-region="facts">
      <p class="verdict" id="verdict">${verdictSentence(page.facts)}</p>
      ${settingsSection(page.facts)}
      <div class="two">${costSection(page.facts)} ${binsSection(page.facts)}</div>
    </div>
  `;
};

export const nothingToCompare = (): Html => html`
  <section class="empty">
    <h1>Nothing to compare yet</h1>
    <p>Two epochs are compared as soon as a run has two: epoch 0, the untouched base, counts.</p>
    <p><a class="button" href="/">All runs</a></p>
  </section>
`;
