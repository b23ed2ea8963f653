/** What a person asks of a run. The answer's times come with the record, by the stream. */
import { announce, find, problem } from './dom.ts';
import { refresh } from './refresh.ts';

const post = (run: string, body: unknown): Promise<Response> =>
  fetch(`/runs/${run}/requests`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'X-Tiller-Token': find<HTMLMetaElement>('meta[name=tiller-token]')?.content ?? '',
    },
    body: JSON.stringify(body),
  });

const ask = async (run: string, body: unknown): Promise<void> => {
  let response = await post(run, body);
  if (response.status === 403) {
    // The dashboard was started anew since this page was made: take its new token.
    await refresh();
    response = await post(run, body);
  }
  if (response.ok) return;
  const { error } = (await response.json()) as { error: { message: string } };
  throw new Error(error.message);
};

let read = 0;

/** A forced stop is offered when a time has passed, of which no event tells. */
const readWhenDue = (): void => {
  const due = Number(find('[data-region="controls"]')?.dataset['due'] ?? 0);
  if (due === 0 || due === read || Date.now() <= due) return;
  read = due;
  refresh().catch(() => {
    read = 0;
  });
};

export const startControls = (): void => {
  setInterval(readWhenDue, 1_000);
  document.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target : undefined;
    const button = target?.closest<HTMLButtonElement>('button[data-verb]');
    const run = document.body.dataset['run'];
    if (button === null || button === undefined || run === undefined) return;
    const { verb, after } = button.dataset;
    button.disabled = true;
    button.closest('details')?.removeAttribute('open');
    announce(`${button.textContent?.trim() ?? verb}: requested`);
    ask(run, after === undefined ? { verb } : { verb, after })
      .catch((error: unknown) => {
        const offline = error instanceof TypeError;
        problem(
          offline
            ? 'The dashboard does not answer. Nothing was asked of the run; it goes on.'
            : error instanceof Error
              ? error.message
              : String(error),
        );
      })
      .finally(() => {
        button.disabled = false;
        refresh().catch(() => undefined);
      });
  });
  // A menu closes when something else is clicked, and with Escape.
  document.addEventListener('click', (event) => {
    const menu = find<HTMLDetailsElement>('details.menu[open]');
    if (menu !== undefined && event.target instanceof Node && !menu.contains(event.target)) {
      menu.open = false;
    }
  });
  document.addEventListener('keydown', (event) => {
    const menu = find<HTMLDetailsElement>('details.menu[open]');
    if (event.key !== 'Escape' || menu === undefined) return;
    menu.open = false;
    find('summary', menu)?.focus();
  });
};
