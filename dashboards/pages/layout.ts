/** The frame of every page: one row of navigation, the state of the house at its right end. */
import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;
export type Theme = 'system' | 'light' | 'dark';

export interface HouseState {
  /** ok: all is well; busy: a device works; bad: something is down. */
  readonly tone: 'ok' | 'busy' | 'bad';
  readonly words: string;
}

/** What every page gets: addresses of the assets, token, theme, and how far the record was read. */
export interface Frame {
  readonly assets: { script: string; style: string; icon: string };
  readonly token: string;
  readonly theme: Theme;
  readonly lastEvent: number;
  readonly house: HouseState;
}

export interface Page {
  readonly title: string;
  readonly name: 'runs' | 'run' | 'compare' | 'problem';
  /** Id of the run that the page follows; left out: all of them. */
  readonly run?: string;
  readonly body: Html;
}

const link = (href: string, words: string, here: boolean): Html =>
  html`<a href="${href}" ${here ? html`aria-current="page"` : ''}>${words}</a>`;

/** The dot with words: ● training on cpu. */
export const dot = (tone: string, words: string): Html =>
  html`<span class="dot ${tone}" aria-hidden="true"></span>${
      words === '' ? '' : html`<span class="dot-words">${words}</span>`
    }`;

const themes: [Theme, string][] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

const helpDialog = (frame: Frame): Html => html`
  <dialog id="help" aria-labelledby="help-title">
    <h2 id="help-title">Keys</h2>
    <dl id="help-keys" class="keys"></dl>
    <p>
      <label class="tick">
        <input type="checkbox" id="letter-keys" checked /> Letter keys are on
      </label>
    </p>
    <fieldset class="themes">
      <legend>Theme</legend>
      ${themes.map(
        ([value, words]) =>
          html`<label class="tick"
            ><input
              type="radio"
              name="theme"
              value="${value}"
              ${frame.theme === value ? html`checked` : ''}
            />
            ${words}</label
          >`,
      )}
    </fieldset>
    <form method="dialog"><button class="button">Close</button></form>
  </dialog>
`;

export const layout = (frame: Frame, page: Page): Html =>
  html`<!doctype html>
    <html lang="en" data-theme="${frame.theme}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          name="color-scheme"
          content="${frame.theme === 'system' ? 'light dark' : frame.theme}"
        />
        <meta name="tiller-token" content="${frame.token}" />
        <title>${page.title}</title>
        <link rel="icon" href="${frame.assets.icon}" type="image/svg+xml" />
        <link rel="stylesheet" href="${frame.assets.style}" />
        <script type="module" src="${frame.assets.script}"></script>
      </head>
      <body
        data-page="${page.name}"
        data-last-event="${frame.lastEvent}"
        ${page.run === undefined ? '' : html`data-run="${page.run}"`}
      >
        <a class="skip" href="#main">To the content</a>
        <header class="top">
          <a class="brand" href="/">Tiller</a>
          <nav aria-label="Pages">
            ${link('/', 'Runs', page.name === 'runs' || page.name === 'run')}
            ${link('/compare', 'Compare', page.name === 'compare')}
          </nav>
          <span class="house" data-region="house" data-tone="${frame.house.tone}"
            >${dot(frame.house.tone, frame.house.words)}</span
          >
          <span id="chip" class="chip" data-tone="wait">Connecting</span>
          <button type="button" id="help-button" class="round" aria-label="Keys and theme">
            ?
          </button>
        </header>
        <main id="main" tabindex="-1">${page.body}</main>
        <div id="announce" class="visually-hidden" role="status" aria-live="polite"></div>
        <div id="problem" class="problem-bar" role="alert" hidden></div>
        ${helpDialog(frame)}
      </body>
    </html>`;
