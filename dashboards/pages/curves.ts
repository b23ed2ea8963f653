/** The charts of a run: places to draw in, what can be chosen, and the tables behind them. */
import { html } from 'hono/html';
import type { ShownEvaluation } from '../../db/pages.ts';
import { recipeOf } from '../progress.ts';
import { formatDelta, formatLoss } from './format.ts';
import type { Html } from './layout.ts';
import type { RunPage } from './run.ts';

export const axes = ['step', 'epoch', 'hours', 'cost'] as const;
export type Axis = (typeof axes)[number];
export const smoothings = [0, 0.6, 0.9, 0.97, 0.99] as const;

/** What is chosen on the chart; all of it stands in the address. */
export interface CurveView {
  readonly curve: string;
  readonly smooth: number;
  readonly x: Axis;
  readonly log: boolean;
  readonly clip: boolean;
  readonly from: number | undefined;
  readonly to: number | undefined;
}

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined;

/** Whatever the address says, it is a view that can be drawn. */
export const parseView = (query: Record<string, string>): CurveView => {
  const smooth = Number(query['smooth'] ?? 0.97);
  return {
    curve: query['curve'] ?? 'loss',
    smooth: smoothings.find((value) => value === smooth) ?? 0.97,
    x: axes.find((axis) => axis === query['x']) ?? 'step',
    log: query['log'] === '1',
    clip: query['clip'] !== '0',
    from: wholeNumber(query['from']),
    to: wholeNumber(query['to']),
  };
};

const curveWords: Record<string, string> = {
  loss: 'Training loss',
  lr: 'Learning rate',
  grad_norm: 'Gradient norm',
  ms: 'Milliseconds a step',
};

const axisWords: Record<Axis, string> = {
  step: 'Step',
  epoch: 'Epoch',
  hours: 'Hours of training',
  cost: 'Cost',
};

const smoothingWords: Record<string, string> = {
  0: 'None',
  0.6: 'A little (0.6)',
  0.9: 'Some (0.9)',
  0.97: 'Much (0.97)',
  0.99: 'Most (0.99)',
};

const choice = (
  label: string,
  name: string,
  options: readonly (readonly [string, string])[],
  chosen: string,
): Html =>
  html`<label class="choice"
    >${label}
    <select name="${name}">
      ${options.map(
        ([value, words]) =>
          html`<option value="${value}" ${value === chosen ? html`selected` : ''}>
            ${words}
          </option>`,
      )}
    </select></label
  >`;

export const lossSection = (page: RunPage): Html => {
  const { view } = page;
  const curves = page.curves.length === 0 ? ['loss'] : page.curves;
  return html`<section aria-labelledby="loss-title" class="curve">
    <div class="section-head">
      <h2 id="loss-title" data-curve-title>${curveWords[view.curve] ?? view.curve}</h2>
      <form class="choices" id="loss-choices" method="get" aria-label="How the curve is drawn">
        ${choice(
          'Curve',
          'curve',
          curves.map((name) => [name, curveWords[name] ?? name]),
          view.curve,
        )}
        ${choice(
          'Smoothing',
          'smooth',
          smoothings.map((value) => [String(value), smoothingWords[value] ?? String(value)]),
          String(view.smooth),
        )}
        ${choice(
          'Against',
          'x',
          axes.map((axis) => [axis, axisWords[axis]]),
          view.x,
        )}
        <label class="tick"
          ><input type="checkbox" name="log" value="1" ${view.log ? html`checked` : ''} /> Log
          y</label
        >
        <button type="button" class="button small" id="last-epoch">Newest epoch</button>
        <button
          type="button"
          class="button small"
          id="whole-run"
          ${view.from === undefined && view.to === undefined ? html`disabled` : ''}
        >
          Whole run
        </button>
        <noscript><button class="button small">Draw</button></noscript>
      </form>
    </div>
    <div class="chart tall" id="loss-chart" data-run="${page.run.id}">
      <div class="skeleton" aria-hidden="true"></div>
      <canvas role="img" aria-label="Curve of the training loss; its data table follows"></canvas>
    </div>
    <p class="chart-notes" id="loss-notes"></p>
    <details class="data" id="loss-data">
      <summary>Data table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Data of the curve"></div>
    </details>
  </section>`;
};

const binTable = (evaluations: readonly ShownEvaluation[]): Html => {
  const timesteps = evaluations.at(-1)?.bins.map((bin) => bin.timestep) ?? [];
  return html`<table class="data-table">
    <caption>
      Validation loss by epoch, and by timestep of the noise
    </caption>
    <thead>
      <tr>
        <th scope="col">Epoch</th>
        <th scope="col">Mean</th>
        <th scope="col">Change</th>
        ${timesteps.map((timestep) => html`<th scope="col">t ${timestep}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${evaluations.map(
        (evaluation, index) =>
          html`<tr>
            <th scope="row">${evaluation.epoch}</th>
            <td>${formatLoss(evaluation.loss)}</td>
            <td>
              ${index === 0 ? '–' : formatDelta(evaluation.loss - (evaluations[index - 1]?.loss ?? NaN))}
            </td>
            ${timesteps.map(
              (timestep) =>
                html`<td>
                  ${formatLoss(evaluation.bins.find((bin) => bin.timestep === timestep)?.loss)}
                </td>`,
            )}
          </tr>`,
      )}
    </tbody>
  </table>`;
};

/** NaN cannot be said in JSON: null, and the page says it. */
const chartData = (evaluations: readonly ShownEvaluation[]): string =>
  JSON.stringify(evaluations.map(({ epoch, loss, bins }) => ({ epoch, loss, bins })));

export const validationSection = (page: RunPage): Html => {
  const { evaluations } = page;
  const last = evaluations.at(-1);
  const best = evaluations
    .filter((evaluation) => Number.isFinite(evaluation.loss))
    .reduce<ShownEvaluation | undefined>(
      (least, next) => (least === undefined || next.loss < least.loss ? next : least),
      undefined,
    );
  const bins = last?.bins ?? [];
  return html`<section aria-labelledby="validation-title" class="curve">
    <div data-region="validation">
      <div class="section-head">
        <h2 id="validation-title">
          Validation
          <span class="quiet">fixed noise, ${recipeOf(page.run).validation.weights}</span>
        </h2>
        <p class="headline">
          <span class="big">${formatLoss(last?.loss)}</span>
          ${
            last === undefined || best === undefined
              ? html`<span class="quiet">the first comes with epoch 0, before training</span>`
              : html`<span class="quiet"
                  >epoch
                  ${last.epoch}${
                    best.epoch === last.epoch
                      ? ', the best'
                      : `; best ${formatLoss(best.loss)} at ${best.epoch}`
                  }</span
                >`
          }
        </p>
      </div>
    </div>
    <div
      hidden
      id="validation-values"
      data-region="validation-values"
      data-values="${chartData(evaluations)}"
    ></div>
    <div class="chart" id="validation-chart">
      <div class="skeleton" aria-hidden="true"></div>
      <canvas role="img" aria-label="Validation loss by epoch; its data table follows"></canvas>
    </div>
    <div class="bins" role="group" aria-label="Timesteps that are drawn" data-region="bin-toggles">
      ${
        bins.length < 2
          ? ''
          : html`<span class="quiet">by timestep</span> ${bins.map(
                (bin) =>
                  html`<button
                    type="button"
                    class="toggle"
                    data-bin="${bin.timestep}"
                    aria-pressed="false"
                  >
                    t ${bin.timestep}
                  </button>`,
              )}`
      }
    </div>
    <details class="data" id="validation-data">
      <summary>Data table</summary>
      <div
        class="scroll"
        tabindex="0"
        role="region"
        aria-label="Validation data"
        data-region="bins"
      >
        ${binTable(evaluations)}
      </div>
    </details>
  </section>`;
};
