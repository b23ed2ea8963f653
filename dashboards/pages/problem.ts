/** What failed, what is safe, one thing to do. */
import { html } from 'hono/html';
import type { Page } from './layout.ts';

export const problemPage = (title: string, detail: string): Page => ({
  title: `${title} – Tiller`,
  name: 'problem',
  body: html`<section class="empty">
    <h1>${title}</h1>
    <p>${detail}</p>
    <p><a class="button" href="/">All runs</a></p>
  </section>`,
});
