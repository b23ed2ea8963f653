/** The table of epochs: losses and cost, and the choice of two to compare. */
import { html } from 'hono/html';
import type { ShownEpoch } from '../../db/pages.ts';
import { recipeOf } from '../progress.ts';
import {
  formatCount,
  formatDelta,
  formatDuration,
  formatEnergy,
  formatLoss,
  formatMoney,
} from './format.ts';
import type { Html } from './layout.ts';
import type { RunPage } from './run.ts';

const stateWords: Record<string, string> = {
  training: 'training',
  trained: 'to be evaluated',
  evaluated: '',
};

const took = (epoch: ShownEpoch): string =>
  epoch.startedAt === null || epoch.trainedAt === null || epoch.epoch === 0
    ? '–'
    : formatDuration((epoch.trainedAt - epoch.startedAt) / 1000);

export const epochsTable = (page: RunPage): Html => {
  const usage = new Map(page.usage.map((row) => [row.epoch, row]));
  const currency = recipeOf(page.run).cost.currency;
  const best = page.run.bestEpoch;
  const evaluated = page.epochs.filter((epoch) => epoch.state === 'evaluated');
  const b = evaluated.at(-1)?.epoch;
  const a = evaluated.find((epoch) => epoch.epoch === best)?.epoch;
  const first = a === b ? evaluated.at(-2)?.epoch : a;
  let before: number | null = null;
  return html`<section aria-labelledby="epochs-title">
    <form id="epochs-form" data-run="${page.run.id}" method="get" action="/compare">
      <div class="section-head">
        <h2 id="epochs-title">Epochs</h2>
        <button class="button" id="compare-epochs" ${evaluated.length < 2 ? html`disabled` : ''}>
          Compare A and B
        </button>
      </div>
      <div class="scroll long" tabindex="0" role="region" aria-label="Epochs" data-region="epochs">
        <table class="epochs" role="table">
          <thead role="rowgroup">
            <tr role="row">
              <th scope="col" role="columnheader">
                <abbr title="Left side of a comparison" class="side-a">A</abbr>
              </th>
              <th scope="col" role="columnheader">
                <abbr title="Right side of a comparison" class="side-b">B</abbr>
              </th>
              <th scope="col" role="columnheader">Epoch</th>
              <th scope="col" role="columnheader">Steps</th>
              <th scope="col" role="columnheader">Training loss</th>
              <th scope="col" role="columnheader">Validation</th>
              <th scope="col" role="columnheader">Change</th>
              <th scope="col" role="columnheader">Time</th>
              <th scope="col" role="columnheader">Energy</th>
              <th scope="col" role="columnheader">Cost</th>
              <th scope="col" role="columnheader">
                <span class="visually-hidden">Compare with the one before</span>
              </th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            ${page.epochs.map((epoch) => {
              const cost = usage.get(epoch.epoch);
              const change =
                before === null || epoch.validationLoss === null
                  ? null
                  : epoch.validationLoss - before;
              const previous = epoch.epoch - 1;
              if (epoch.validationLoss !== null) before = epoch.validationLoss;
              const ready = epoch.state === 'evaluated';
              const pick = (side: 'a' | 'b', chosen: boolean): Html =>
                ready
                  ? html`<label class="pick-side"
                      ><input
                        type="radio"
                        name="${side}"
                        value="${page.run.id}@${epoch.epoch}"
                        aria-label="Epoch ${epoch.epoch} as ${side.toUpperCase()}"
                        ${chosen ? html`checked` : ''}
                    /></label>`
                  : html``;
              return html`<tr role="row" class="${epoch.epoch === best ? 'best' : ''}">
                <td role="cell">${pick('a', epoch.epoch === first)}</td>
                <td role="cell">${pick('b', epoch.epoch === b)}</td>
                <th scope="row" role="rowheader">
                  ${epoch.epoch}
                  <span class="quiet"
                    >${epoch.epoch === 0 ? 'base' : (stateWords[epoch.state] ?? epoch.state)}</span
                  >
                </th>
                <td role="cell" class="figure">
                  ${
                    epoch.epoch === 0
                      ? '–'
                      : `${formatCount(epoch.firstStep + 1)}–${formatCount(epoch.lastStep)}`
                  }
                </td>
                <td role="cell" class="figure">
                  ${formatLoss(epoch.trainLoss)}
                  ${
                    epoch.deviation === null
                      ? ''
                      : html`<span
                          class="quiet"
                          title="standard deviation of ${epoch.count ?? 0} steps"
                          >± ${epoch.deviation.toFixed(3)}</span
                        >`
                  }
                </td>
                <td role="cell" class="figure">
                  ${formatLoss(epoch.validationLoss)}
                  ${epoch.epoch === best ? html`<span class="tag">best</span>` : ''}
                </td>
                <td role="cell" class="figure quiet">${formatDelta(change)}</td>
                <td role="cell" class="figure">${took(epoch)}</td>
                <td role="cell" class="figure">
                  ${cost === undefined ? '–' : formatEnergy(cost.joules)}
                </td>
                <td role="cell" class="figure">
                  ${cost === undefined ? '–' : formatMoney(cost.money, cost.currency ?? currency)}
                </td>
                <td role="cell">
                  ${
                    ready && previous >= 0
                      ? html`<a
                          href="/compare?a=${page.run.id}@${previous}&amp;b=${page.run.id}@${epoch.epoch}"
                          aria-label="Compare epoch ${previous} with epoch ${epoch.epoch}"
                          >${previous} · ${epoch.epoch}</a
                        >`
                      : ''
                  }
                </td>
              </tr>`;
            })}
          </tbody>
        </table>
      </div>
      ${
        page.usage.some((row) => row.metered === 0)
          ? html`<p class="quiet note">
              Energy is device time at the recipe's ${recipeOf(page.run).cost.watts} W: no meter was
              read.
            </p>`
          : ''
      }
    </form>
  </section>`;
};
