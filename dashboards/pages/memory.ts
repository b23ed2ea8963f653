/** What the newest trainer planned to hold in memory. */
import { html } from 'hono/html';
import { formatBytes } from './format.ts';
import type { Html } from './layout.ts';
import type { RunPage } from './run.ts';

export const memorySection = ({ memory }: RunPage): Html => html`
  <section data-region="memory">
    ${
      memory === undefined
        ? ''
        : html`<details id="memory">
            <summary>
              <h2>Memory</h2>
              <span class="quiet"
                >${formatBytes(memory.total_bytes)} planned to ${memory.stage} epoch
                ${memory.epoch}${
                  memory.available_bytes === null
                    ? ''
                    : `, of ${formatBytes(memory.available_bytes)} that were free`
                }</span
              >
            </summary>
            <table class="memory">
              <thead>
                <tr>
                  <th scope="col">Part</th>
                  <th scope="col" class="figure">Planned</th>
                </tr>
              </thead>
              <tbody>
                ${memory.parts.map(
                  ({ name, bytes }) =>
                    html`<tr>
                      <th scope="row">${name}</th>
                      <td class="figure">${formatBytes(bytes)}</td>
                    </tr>`,
                )}
                <tr>
                  <th scope="row">in all</th>
                  <td class="figure">${formatBytes(memory.total_bytes)}</td>
                </tr>
              </tbody>
            </table>
          </details>`
    }
  </section>
`;
