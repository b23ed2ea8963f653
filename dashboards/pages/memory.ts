/** What the newest trainer planned to hold in memory. */
import { html } from 'hono/html';
import type { MemoryNeed } from '../../db/doing.ts';
import { formatBytes, plural } from './format.ts';
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
                ${memory.epoch}${free(memory)}${
                  memory.host === undefined
                    ? ''
                    : `; of the host ${formatBytes(memory.host.total_bytes)}${free(memory.host)}`
                }</span
              >
            </summary>
            ${needTable(memory, memory.host === undefined ? 'Part' : 'Part, on the device')}
            ${memory.host === undefined ? '' : needTable(memory.host, 'Part, on the host')}
            ${
              memory.nodes === undefined || memory.splits === undefined
                ? ''
                : html`<p class="quiet">
                    The largest graph has ${plural(memory.nodes, 'node')} in
                    ${plural(memory.splits, 'split')}.
                  </p>`
            }
          </details>`
    }
  </section>
`;

const free = ({ available_bytes: bytes }: MemoryNeed): string =>
  bytes === null ? '' : `, of ${formatBytes(bytes)} that were free`;

const needTable = ({ parts, total_bytes }: MemoryNeed, heading: string): Html =>
  html`<table class="memory">
    <thead>
      <tr>
        <th scope="col">${heading}</th>
        <th scope="col" class="figure">Planned</th>
      </tr>
    </thead>
    <tbody>
      ${parts.map(
        ({ name, bytes }) =>
          html`<tr>
            <th scope="row">${name}</th>
            <td class="figure">${formatBytes(bytes)}</td>
          </tr>`,
      )}
      <tr>
        <th scope="row">in all</th>
        <td class="figure">${formatBytes(total_bytes)}</td>
      </tr>
    </tbody>
  </table>`;
