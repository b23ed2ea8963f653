/** What a person asks of a run with a word of their own: so many more epochs, and its deletion. */
import { html } from 'hono/html';
import type { ListedRun } from '../../db/pages.ts';
import { recipeOf } from '../progress.ts';
import type { Html } from './layout.ts';

export const extendMenu = (run: ListedRun): Html => {
  const { schedule, epochs } = recipeOf(run).train;
  return html`<details class="menu" id="extend-menu">
    <summary class="button">Extend</summary>
    ${
      schedule === 'constant'
        ? html`<form class="menu-items" data-verb="extend">
            <label for="extend-epochs">More epochs than ${run.epochs}</label>
            <input
              type="number"
              name="epochs"
              id="extend-epochs"
              min="1"
              max="100000"
              step="1"
              value="1"
              required
            />
            <button class="button">Train them</button>
          </form>`
        : html`<p class="menu-items">
            Its learning rate falls to nothing by epoch ${epochs} (${schedule}): there is no more to
            train after that. Start a new run with more epochs.
          </p>`
    }
  </details>`;
};

/** No key leads here, and the name has to be typed. */
export const deleteMenu = (run: ListedRun): Html =>
  html`<details class="menu" id="delete-menu">
    <summary class="button">Delete</summary>
    <form class="menu-items" data-verb="delete" autocomplete="off">
      <p>Its figures, samples, checkpoints and exports go for good.</p>
      <label for="delete-name">Type <strong>${run.name}</strong> to delete it</label>
      <input type="text" name="name" id="delete-name" maxlength="64" spellcheck="false" required />
      <button class="button danger">Delete for good</button>
    </form>
  </details>`;
