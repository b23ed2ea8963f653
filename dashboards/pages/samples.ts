/** Samples: the newest beside the untouched base, and the whole grid of epochs by prompts. */
import { html } from 'hono/html';
import { promptLine } from '../../db/beginnings.ts';
import type { ShownSample } from '../../db/pages.ts';
import {
  type Column,
  type Grid,
  gridOf,
  type GridRow,
  identityOf,
  slotsOf,
  unsampled,
} from './arrange-samples.ts';
import { formatCount, plural } from './format.ts';
import type { Html } from './layout.ts';
import { thumbnail } from './picture.ts';
import type { RunPage } from './run.ts';

/** Pictures that the page holds without a script; the script keeps their number at this or below. */
const FIRST_PICTURES = 40;
const STRIP_PROMPTS = 8;
/** So many columns fit a wide screen, and need no frame of their own to scroll in. */
const MOST_FREE = 9;

const describe = (sample: Column): string =>
  `seed ${sample.seed}, ${sample.sampler} ${sample.steps}, guidance ${sample.guidance}, ${sample.width}×${sample.height}, ${sample.weights}`;

const rowName = (row: GridRow): Html =>
  row.requested
    ? html`step ${formatCount(row.step)} <span class="quiet">on request</span>`
    : html`${row.epoch}`;

const altOf = (sample: ShownSample): string => `${promptLine(sample)}, epoch ${sample.epoch}`;

const missing = ({ offers }: RunPage, row: GridRow, { position, text }: Column): Html => {
  const offer = row.requested ? undefined : offers.of(row.epoch, position);
  return html`<td role="cell" data-cell="${row.id}/${position}">
    ${
      offer === undefined
        ? html`<span class="picture missing" title="Not sampled"></span>`
        : html`<button
            type="button"
            class="picture missing"
            data-verb="make"
            data-epoch="${offer.epoch}"
            data-prompt="${offer.prompt}"
            title="Not sampled"
            aria-label="${text || 'empty prompt'}, not sampled at epoch ${offer.epoch}: ${offer.words}"
          >
            ${offer.words}
          </button>`
    }
  </td>`;
};

const cell = (run: string, sample: ShownSample, column: number, now: boolean): Html => {
  const source = thumbnail(sample.id, 96);
  return html`<td role="cell">
    <a
      class="picture"
      href="/compare?a=${run}@0&amp;b=${run}@${sample.epoch}&amp;prompt=${column + 1}"
      data-sample="${sample.id}"
      data-source="${source}"
      aria-label="${altOf(sample)}: compare with epoch 0"
      >${now ? html`<img src="${source}" alt="" width="96" height="96" decoding="async" />` : ''}</a
    >
  </td>`;
};

const strip = (page: RunPage, grid: Grid): Html => {
  const columns = grid.columns.slice(0, STRIP_PROMPTS);
  const zero = grid.rows.find((row) => row.epoch === 0 && !row.requested);
  const last = grid.rows.at(-1);
  const rows = [...new Set([zero, last])].filter((row) => row !== undefined);
  return html`<div
    class="scroll strip-scroll"
    tabindex="0"
    role="region"
    aria-label="Latest samples"
  >
    <table class="strip">
      <thead>
        <tr>
          <th scope="col">Epoch</th>
          ${columns.map(
            (column) =>
              html`<th scope="col">
                <span class="prompt" title="${promptLine(column)}">${promptLine(column)}</span>
              </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              <th scope="row">${rowName(row)}</th>
              ${columns.map((column) => {
                const sample = row.cells.get(identityOf(column));
                return sample === undefined
                  ? html`<td data-cell="${row.id}/${column.position}">
                      <span class="picture missing" title="Not sampled"></span>
                    </td>`
                  : html`<td>
                      <span class="picture"
                        ><img
                          src="${thumbnail(sample.id, 96)}"
                          alt="${altOf(sample)}"
                          width="96"
                          height="96"
                          decoding="async"
                      /></span>
                    </td>`;
              })}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
};

const nothingYet = (page: RunPage): Html => {
  if (page.offers.prompts.length === 0) {
    return html`<p class="quiet">The recipe has no prompts: add some below.</p>`;
  }
  const next = page.epochs.length === 0 ? 0 : page.run.epoch * (page.run.stepsPerEpoch ?? 0);
  return html`<p class="quiet">
    No samples yet. The next ones come at step
    ${formatCount(next)}${page.run.state === 'training' ? ', or with “Sample now”' : ''}.
  </p>`;
};

export const latestSamples = (page: RunPage): Html => {
  // Made for the first time, a prompt has its column before it has a sample.
  const columns = page.making === null ? [] : unsampled(page);
  const grid = gridOf(page.samples, columns, slotsOf(page).made);
  const last = gridOf(page.samples).rows.at(-1);
  return html`<section aria-labelledby="latest-title" data-region="latest">
    <div class="section-head">
      <h2 id="latest-title">Latest samples <span class="quiet">beside epoch 0</span></h2>
      ${
        last === undefined || last.epoch === 0
          ? ''
          : html`<a href="/compare?a=${page.run.id}@0&amp;b=${page.run.id}@${last.epoch}"
              >Compare 0 and ${last.epoch}</a
            >`
      }
    </div>
    ${grid.rows.length === 0 ? nothingYet(page) : strip(page, grid)}
  </section>`;
};

/**
 * The grid's rows are boxes of their own and no parts of a table's layout, so that a browser leaves out
 * those that are far from view; the roles keep it a table for whoever hears it.
 */
export const samplesGrid = (page: RunPage): Html => {
  const { made, next } = slotsOf(page);
  const grid = gridOf(page.samples, unsampled(page), [...made, ...next]);
  let pictures = 0;
  return html`<section aria-labelledby="samples-title" id="samples">
    <div class="section-head">
      <h2 id="samples-title">
        Samples
        <span class="quiet" data-region="samples-count"
          >${plural(grid.columns.length, 'prompt')}, ${plural(page.samples.length, 'picture')}</span
        >
      </h2>
      <button type="button" class="pill" id="new-samples" hidden></button>
    </div>
    <div data-region="grid" data-defer>
      ${
        grid.rows.length === 0
          ? nothingYet(page)
          : html`<div
              class="scroll long grid-scroll ${grid.columns.length <= MOST_FREE ? 'free' : ''}"
              tabindex="0"
              role="region"
              aria-label="Samples, epochs by prompts"
            >
              <table class="grid" role="table">
                <thead role="rowgroup">
                  <tr role="row">
                    <th scope="col" role="columnheader">Epoch</th>
                    ${grid.columns.map(
                      (column) =>
                        html`<th
                          scope="col"
                          role="columnheader"
                          title="${promptLine(column)} (${describe(column)})"
                        >
                          <span class="prompt">${promptLine(column)}</span>
                        </th>`,
                    )}
                  </tr>
                </thead>
                <tbody role="rowgroup">
                  ${grid.rows.map(
                    (row) =>
                      html`<tr role="row" id="${row.id}">
                        <th scope="row" role="rowheader">${rowName(row)}</th>
                        ${grid.columns.map((column, index) => {
                          const sample = row.cells.get(identityOf(column));
                          if (sample === undefined) return missing(page, row, column);
                          pictures += 1;
                          return cell(page.run.id, sample, index, pictures <= FIRST_PICTURES);
                        })}
                      </tr>`,
                  )}
                </tbody>
              </table>
            </div>`
      }
    </div>
  </section>`;
};
