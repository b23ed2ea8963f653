/** Figures of a comparison: losses per timestep, settings that differ, cost; and one sentence. */
import { html } from 'hono/html';
import {
  formatCount,
  formatDelta,
  formatGap,
  formatDuration,
  formatEnergy,
  formatLoss,
  formatMoney,
} from './format.ts';
import type { Html } from './layout.ts';

export interface SideFacts {
  readonly name: string;
  readonly validation: number | null;
  readonly train: { mean: number; deviation: number | null; count: number | null } | null;
  readonly steps: number;
  /** Of the run up to this epoch. */
  readonly seconds: number;
  readonly joules: number;
  readonly money: number;
}

export interface Facts {
  readonly a: SideFacts;
  readonly b: SideFacts;
  readonly bins: readonly { timestep: number; a: number | null; b: number | null }[];
  readonly settings: readonly { key: string; a: string; b: string }[];
  readonly currency: string;
  /** Why the validation losses can't be held against each other; null if they can. */
  readonly incomparable: string | null;
}

const betterBins = (facts: Facts): { better: number; of: number } => {
  const both = facts.bins.filter((bin) => bin.a !== null && bin.b !== null);
  return {
    better: both.filter((bin) => (bin.b ?? 0) < (bin.a ?? 0)).length,
    of: both.length,
  };
};

export const lossWords = (facts: Facts): string => {
  const { a, b } = facts;
  if (a.validation === null || b.validation === null) {
    const missing = a.validation === null ? a : b;
    return `The validation loss of ${missing.name} is not measured.`;
  }
  if (facts.incomparable !== null) return facts.incomparable;
  const change = b.validation - a.validation;
  if (!Number.isFinite(change)) return 'A validation loss is not a number.';
  const { better, of } = betterBins(facts);
  const bins = of === 0 ? '' : ` (lower in ${better} of ${of} bins)`;
  if (change === 0) return `The validation losses are equal${bins}.`;
  return `B's validation loss is ${formatGap(Math.abs(change))} ${change < 0 ? 'lower' : 'higher'}${bins}.`;
};

export const costWords = ({ a, b, currency }: Facts): string => {
  const joules = b.joules - a.joules;
  const money = b.money - a.money;
  if (joules === 0 && money === 0) return 'They cost the same.';
  return `B cost ${formatEnergy(Math.abs(joules))} (${formatMoney(Math.abs(money), currency)}) ${joules > 0 ? 'more' : 'less'}.`;
};

export const verdictSentence = (facts: Facts): Html =>
  html`${lossWords(facts)} <span class="quiet">Not voted.</span> ${costWords(facts)}`;

export const settingsSection = (facts: Facts): Html => html`
  <section aria-labelledby="settings-title">
    <h2 id="settings-title">
      Settings that
      differ${facts.settings.length === 0 ? html` <span class="quiet">none</span>` : ''}
    </h2>
    ${
      facts.settings.length === 0
        ? ''
        : html`<div class="scroll" tabindex="0" role="region" aria-label="Table of settings">
            <table>
              <thead>
                <tr>
                  <th scope="col">Setting</th>
                  <th scope="col" class="side-a">A</th>
                  <th scope="col" class="side-b">B</th>
                </tr>
              </thead>
              <tbody>
                ${facts.settings.map(
                  ({ key, a, b }) =>
                    html`<tr>
                      <th scope="row">${key}</th>
                      <td>${a}</td>
                      <td>${b}</td>
                    </tr>`,
                )}
              </tbody>
            </table>
          </div>`
    }
  </section>
`;

const trainWords = ({ train }: SideFacts): Html | string =>
  train === null
    ? '–'
    : html`${formatLoss(train.mean)}
      ${train.deviation === null ? '' : html`<span class="quiet">± ${train.deviation.toFixed(3)}</span>`}
      ${train.count === null ? '' : html`<span class="quiet">n ${train.count}</span>`}`;

export const costSection = (facts: Facts): Html => {
  const { a, b, currency } = facts;
  const row = (label: string, left: Html | string, right: Html | string, change: string): Html =>
    html`<tr>
      <th scope="row">${label}</th>
      <td class="figure">${left}</td>
      <td class="figure">${right}</td>
      <td class="figure quiet">${change}</td>
    </tr>`;
  const signed = (value: number, words: string): string =>
    value === 0 ? '±0' : `${value < 0 ? '−' : '+'}${words}`;
  return html`<section aria-labelledby="figures-title">
    <h2 id="figures-title">Figures</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Figures of both sides">
      <table>
        <thead>
          <tr>
            <td></td>
            <th scope="col" class="figure side-a">A · ${a.name}</th>
            <th scope="col" class="figure side-b">B · ${b.name}</th>
            <th scope="col" class="figure">B − A</th>
          </tr>
        </thead>
        <tbody>
          ${row(
            'Validation loss',
            formatLoss(a.validation),
            formatLoss(b.validation),
            a.validation === null || b.validation === null
              ? '–'
              : formatDelta(b.validation - a.validation),
          )}
          ${row(
            'Training loss, mean of the epoch',
            trainWords(a),
            trainWords(b),
            a.train === null || b.train === null ? '–' : formatDelta(b.train.mean - a.train.mean),
          )}
          ${row('Steps', formatCount(a.steps), formatCount(b.steps), signed(b.steps - a.steps, formatCount(Math.abs(b.steps - a.steps))))}
          ${row(
            'Device time so far',
            formatDuration(a.seconds),
            formatDuration(b.seconds),
            signed(b.seconds - a.seconds, formatDuration(Math.abs(b.seconds - a.seconds))),
          )}
          ${row(
            'Energy so far',
            formatEnergy(a.joules),
            formatEnergy(b.joules),
            signed(b.joules - a.joules, formatEnergy(Math.abs(b.joules - a.joules))),
          )}
          ${row(
            'Cost so far',
            formatMoney(a.money, currency),
            formatMoney(b.money, currency),
            signed(b.money - a.money, formatMoney(Math.abs(b.money - a.money), currency)),
          )}
        </tbody>
      </table>
    </div>
  </section>`;
};

export const binsSection = (facts: Facts): Html | string => {
  if (facts.bins.length === 0) return '';
  return html`<section aria-labelledby="bins-title" class="curve">
    <h2 id="bins-title">
      Validation loss per bin <span class="quiet">by timestep of the noise</span>
    </h2>
    <p class="legend" aria-hidden="true">
      <span class="line-a"></span>A · ${facts.a.name} <span class="line-b"></span>B ·
      ${facts.b.name}
    </p>
    <div class="chart short" id="bins-chart" data-values="${JSON.stringify(facts.bins)}">
      <div class="skeleton" aria-hidden="true"></div>
      <canvas
        role="img"
        aria-label="Validation loss per timestep of A and B; the table follows"
      ></canvas>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="Losses per bin">
      <table class="data-table">
        <thead>
          <tr>
            <th scope="col">Timestep</th>
            ${facts.bins.map((bin) => html`<th scope="col">t ${bin.timestep}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${(['a', 'b'] as const).map(
            (side) =>
              html`<tr>
                <th scope="row" class="side-${side}">${side.toUpperCase()}</th>
                ${facts.bins.map((bin) => html`<td class="figure">${formatLoss(bin[side])}</td>`)}
              </tr>`,
          )}
          <tr>
            <th scope="row">B − A</th>
            ${facts.bins.map(
              (bin) =>
                html`<td class="figure quiet">
                  ${bin.a === null || bin.b === null ? '–' : formatDelta(bin.b - bin.a)}
                </td>`,
            )}
          </tr>
        </tbody>
      </table>
    </div>
  </section>`;
};
