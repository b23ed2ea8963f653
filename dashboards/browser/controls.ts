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

interface Body {
  readonly verb: string | undefined;
  readonly [argument: string]: unknown;
}

/** Whether it was taken; a refusal is told. */
const send = async (button: HTMLButtonElement, body: Body): Promise<boolean> => {
  // The compare page is of two runs: there the button says which.
  const run = button.dataset['run'] ?? document.body.dataset['run'];
  if (run === undefined) return false;
  button.disabled = true;
  let taken = false;
  const menu = button.closest('details.menu')?.id;
  announce(`${button.textContent?.trim()}: requested`);
  try {
    await ask(run, body);
    taken = true;
    // By its id: the page may have been read anew meanwhile.
    if (menu !== undefined) find(`#${menu}`)?.removeAttribute('open');
    // It stands where the picture will be.
    if (body.verb === 'make') button.textContent = 'Asked for';
  } catch (error) {
    const offline = error instanceof TypeError;
    problem(
      offline
        ? 'The dashboard does not answer. Nothing was asked of the run; it goes on.'
        : error instanceof Error
          ? error.message
          : String(error),
    );
  }
  button.disabled = taken && body.verb === 'make';
  // The page of a deleted run is no more. A dashboard that is away was told of, here or by the chip.
  if (body.verb !== 'delete') refresh().catch(() => undefined);
  return taken;
};

/** What was typed stays where it was refused. */
const submit = async (form: HTMLFormElement, verb: string): Promise<void> => {
  const button = find<HTMLButtonElement>('button', form);
  const body = bodyOf(form, verb);
  if (button === undefined || !(await send(button, body))) return;
  form.reset();
  if (verb === 'delete') location.assign(`/?deleted=${encodeURIComponent(String(body['name']))}`);
};

const bodyOf = (form: HTMLFormElement, verb: string): Body => {
  const data = new FormData(form);
  const text = (field: string): string => String(data.get(field) ?? '');
  const number = (field: string): number | undefined =>
    text(field) === '' ? undefined : Number(text(field));
  if (verb === 'delete') return { verb, name: text('name') };
  if (verb === 'extend') return { verb, epochs: number('epochs') };
  const { drop } = form.dataset;
  const [seed, width, height] = ['seed', 'width', 'height'].map(number);
  // What is undefined does not come into the JSON: it is left out.
  const add = { text: text('text'), negative: text('negative'), seed, width, height };
  return { verb, add, drop: drop === undefined ? undefined : Number(drop) };
};

export const startControls = (): void => {
  setInterval(readWhenDue, 1_000);
  document.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target : undefined;
    const button = target?.closest<HTMLButtonElement>('button[data-verb]');
    if (button === null || button === undefined) return;
    const { verb, after, ...numbers } = button.dataset;
    const [epoch, prompt, drop] = [numbers['epoch'], numbers['prompt'], numbers['drop']].map(
      (text) => (text === undefined ? undefined : Number(text)),
    );
    void send(button, { verb, after, epoch, prompt, drop });
  });
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.dataset['verb'] === undefined) return;
    event.preventDefault();
    void submit(form, form.dataset['verb']);
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
