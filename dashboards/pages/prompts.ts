/** What a run is sampled with, and how that is changed while it goes on. */
import { html } from 'hono/html';
import { promptLine } from '../../db/beginnings.ts';
import type { ListedRun } from '../../db/pages.ts';
import type { PromptRow } from '../../db/prompts.ts';
import { plural } from './format.ts';
import type { Html } from './layout.ts';

type Given = Pick<PromptRow, 'text' | 'negative' | 'seed' | 'width' | 'height'>;

const NEW: Given = { text: '', negative: '', seed: 7, width: null, height: null };

const side = (word: string, name: 'width' | 'height', prompt: Given, key: string): Html =>
  html`<label class="field" for="prompt-${name}-${key}"
    ><span>${word}</span>
    <input
      type="number"
      id="prompt-${name}-${key}"
      name="${name}"
      value="${prompt[name] ?? ''}"
      min="8"
      max="4096"
      placeholder="as data"
  /></label>`;

/** @param key tells the form's fields from those of the others */
const fields = (prompt: Given, key: string): Html => html`
  <label class="field wide-field" for="prompt-text-${key}"
    ><span>Prompt</span>
    <input type="text" id="prompt-text-${key}" name="text" value="${prompt.text}" required
  /></label>
  <label class="field" for="prompt-negative-${key}"
    ><span>Without</span>
    <input type="text" id="prompt-negative-${key}" name="negative" value="${prompt.negative}"
  /></label>
  <label class="field" for="prompt-seed-${key}"
    ><span>Seed</span>
    <input
      type="number"
      id="prompt-seed-${key}"
      name="seed"
      value="${prompt.seed}"
      min="0"
      max="4294967295"
      required
  /></label>
  ${side('Width', 'width', prompt, key)} ${side('Height', 'height', prompt, key)}
`;

const sizeOf = ({ width, height }: Given): string =>
  width === null && height === null ? '' : `, ${width ?? '–'}×${height ?? '–'}`;

const line = (prompt: PromptRow): Html =>
  html`<li>
    <details id="prompt-${prompt.position}">
      <summary>
        ${promptLine(prompt)}
        <span class="quiet"
          >${prompt.negative === '' ? '' : `without ${prompt.negative}, `}seed
          ${prompt.seed}${sizeOf(prompt)}</span
        >
      </summary>
      <form class="prompt-form" data-verb="prompts" data-drop="${prompt.position}">
        ${fields(prompt, String(prompt.position))}
        <button class="button">Change</button>
        <button
          type="button"
          class="button danger"
          data-verb="prompts"
          data-drop="${prompt.position}"
          aria-label="Sample ${promptLine(prompt)} no longer"
        >
          Drop
        </button>
      </form>
    </details>
  </li>`;

export const promptsSection = (run: ListedRun, prompts: readonly PromptRow[]): Html => html`
  <section class="prompts" aria-label="Prompts" data-region="prompts">
    <details id="prompts">
      <summary>
        <h2>Prompts <span class="quiet">${plural(prompts.length, 'prompt')}</span></h2>
      </summary>
      <p class="quiet">
        From the next evaluation on. A changed prompt is a new one: pictures of the old one stay,
        and those of earlier epochs can be made.
      </p>
      <ul class="prompt-list">
        ${prompts.map(line)}
      </ul>
      <form class="prompt-form" data-verb="prompts" aria-label="A new prompt of ${run.name}">
        ${fields(NEW, 'new')}
        <button class="button">Add</button>
      </form>
    </details>
  </section>
`;
