/** The runs page: what moves first, then what failed, then the rest. */
import { html } from 'hono/html';
import type { ListedRun } from '../../db/pages.ts';
import { recipeOf, toneOf, underWay } from '../progress.ts';
import { formatDay, formatLoss, plural } from './format.ts';
import { dot, type Html } from './layout.ts';
import { picture } from './picture.ts';

export interface RunsPageRun {
  readonly run: ListedRun;
  readonly texts: Record<string, string>;
}

const baseOf = (run: ListedRun): string => {
  if (run.parentRun !== null) return `forked at epoch ${run.parentEpoch ?? 0}`;
  const recipe = recipeOf(run);
  return recipe.base?.split(/[\\/]/).at(-1) ?? `from seed ${recipe.seed}`;
};

/** What the filter looks in. */
export const filterText = (run: ListedRun): string =>
  `${run.name} ${baseOf(run)} ${run.state} ${run.id}`.toLowerCase();

export const matches = (run: ListedRun, query: string): boolean =>
  query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => filterText(run).includes(word));

const field = (name: string, texts: Record<string, string>): Html =>
  html`<span data-field="${name}">${texts[name] ?? ''}</span>`;

const validation = (run: ListedRun): Html =>
  run.lastValidation === null
    ? html`<span class="quiet">–</span>`
    : html`${formatLoss(run.lastValidation)}
        <span class="quiet"
          >${
            run.bestEpoch === run.lastEpoch
              ? 'best'
              : html`best ${formatLoss(run.bestValidation)} at ${run.bestEpoch}`
          }</span
        >`;

const row = ({ run, texts }: RunsPageRun, hidden: boolean): Html => {
  const moving = underWay.has(run.state);
  return html`<tr
    class="run-row"
    data-row="${run.id}"
    data-run="${run.id}"
    data-epoch="${run.lastEpoch ?? ''}"
    data-filter="${filterText(run)}"
    ${hidden ? html`hidden` : ''}
  >
    <td class="pick">
      <label
        ><input
          type="checkbox"
          name="pick"
          value="${run.id}"
          aria-label="Select ${run.name} to compare"
      /></label>
    </td>
    <td class="thumb">
      ${
        run.lastSample === null
          ? html`<span class="picture missing"></span>`
          : picture({ id: run.lastSample, alt: `Last sample of ${run.name}`, size: 40 })
      }
    </td>
    <th scope="row" class="name">
      <a class="open" href="/runs/${run.id}">${run.name}</a>
      <span class="state">${dot(toneOf(run), '')}${field('state', texts)}</span>
      ${
        run.reason === null
          ? ''
          : html`<span class="reason ${run.state === 'failed' ? 'bad' : ''}">${run.reason}</span>`
      }
    </th>
    <td data-label="Base">${baseOf(run)}</td>
    <td data-label="Epoch" class="figure">
      ${field('epoch', texts)}
      ${
        moving
          ? html`<progress
              data-field-value="fraction"
              max="1"
              value="${texts['fraction'] ?? '0'}"
              aria-label="Progress of ${run.name}"
            ></progress>`
          : ''
      }
    </td>
    <td data-label="Time left" class="figure ${moving ? '' : 'void'}">
      ${moving ? field('left', texts) : html`–`}
    </td>
    <td data-label="Validation loss" class="figure">${validation(run)}</td>
    <td data-label="Cost" class="figure">
      ${field('money', texts)} <span class="quiet">${field('energy', texts)}</span>
    </td>
    <td data-label="Started" class="figure quiet">${formatDay(run.startedAt ?? run.createdAt)}</td>
  </tr>`;
};

/** Rows that don't match are there, too, hidden: the page filters without asking. */
const group = (title: string, runs: readonly RunsPageRun[], query: string): Html | string =>
  runs.length === 0
    ? ''
    : html`<tbody data-group ${runs.some(({ run }) => matches(run, query)) ? '' : html`hidden`}>
        <tr class="group">
          <th colspan="9" scope="rowgroup">${title} <span class="quiet">${runs.length}</span></th>
        </tr>
        ${runs.map((each) => row(each, !matches(each.run, query)))}
      </tbody>`;

const empty = (): Html => html`
  <section class="empty">
    <h1>No runs yet</h1>
    <p>See everything at once, in about ten minutes:</p>
    <pre><code>npm run demo</code></pre>
    <p>Or start a run from a recipe of yours:</p>
    <pre><code>tiller train my-recipe.yaml</code></pre>
    <p class="quiet">This page follows by itself: the run appears here as soon as it starts.</p>
  </section>
`;

/** @param deleted name of a run that is no more */
export const runsPage = (
  runs: readonly RunsPageRun[],
  query: string,
  deleted: string | undefined,
): Html => {
  const notice =
    deleted === undefined
      ? ''
      : html`<p class="notice" role="status">Run ${deleted} is deleted.</p>`;
  if (runs.length === 0)
    return html`${notice}
      <div data-region="runs">${empty()}</div>`;
  const shown = runs.filter(({ run }) => matches(run, query));
  const moving = runs.filter(({ run }) => underWay.has(run.state));
  const failed = runs.filter(({ run }) => run.state === 'failed');
  const rest = runs.filter(({ run }) => !underWay.has(run.state) && run.state !== 'failed');
  return html`${notice}
    <div class="page-head">
      <h1>Runs</h1>
      <form class="filter" method="get" action="/" role="search">
        <input
          type="search"
          name="q"
          id="filter"
          value="${query}"
          placeholder="Filter"
          aria-label="Filter runs"
          autocomplete="off"
          maxlength="200"
        />
      </form>
      <p class="actions">
        <span id="picked" class="quiet" aria-live="polite"></span>
        <button type="button" class="button" id="compare-picked" disabled>Compare</button>
      </p>
    </div>
    <div data-region="runs">
      <div class="no-match" ${shown.length === 0 ? '' : html`hidden`}>
        <p>No run matches “<span id="query-words">${query}</span>”.</p>
        <p><a class="button" href="/" id="clear-filters">Clear filters</a></p>
      </div>
      <table class="runs" ${shown.length === 0 ? html`hidden` : ''}>
        <caption class="visually-hidden">
          ${plural(shown.length, 'run')}
        </caption>
        <thead>
          <tr>
            <th scope="col"><span class="visually-hidden">Select</span></th>
            <th scope="col"><span class="visually-hidden">Last sample</span></th>
            <th scope="col">Name</th>
            <th scope="col">Base</th>
            <th scope="col">Epoch</th>
            <th scope="col">Time left</th>
            <th scope="col">Validation loss</th>
            <th scope="col">Cost</th>
            <th scope="col">Started</th>
          </tr>
        </thead>
        ${group('Under way', moving, query)} ${group('Failed', failed, query)}
        ${group('Finished', rest, query)}
      </table>
    </div> `;
};
