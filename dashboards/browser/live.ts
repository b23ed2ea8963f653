/**
 * The stream of what happens. Events lead to a fresh reading of the page's regions, progress goes
 * straight into the figures. Without the stream the page is read every five seconds, and says so.
 */
import { announce, find, findAll } from './dom.ts';
import { refresh } from './refresh.ts';

export interface Happened {
  readonly id: number;
  readonly run: string | null;
  readonly kind: string;
  readonly epoch: number | null;
  readonly step: number | null;
  readonly message: string;
}

/** As dashboards/doing.ts makes it. */
export interface Making {
  readonly row: string;
  readonly prompt: number;
  readonly words: string;
  readonly short: string;
  readonly alt: string;
  readonly picture: string | null;
}

interface ProgressRow {
  readonly run: string;
  readonly step: number;
  readonly texts: Record<string, string>;
  /** only of the run whose page this is */
  readonly making?: Making | null;
}

type ProgressListener = (row: ProgressRow) => void;

const SETTLE_MS = 250;
/** The server says that it is alive every five seconds at least. */
const LATE_MS = 12_000;
const POLL_MS = 5_000;

const progressListeners = new Set<ProgressListener>();
export const onProgress = (listener: ProgressListener): void => {
  progressListeners.add(listener);
};

let heard = Date.now();
let connected = false;
let source: EventSource | undefined;
let settling: ReturnType<typeof setTimeout> | undefined;

const age = (): string => {
  const seconds = Math.round((Date.now() - heard) / 1000);
  return seconds < 60 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
};

const showChip = (): void => {
  const chip = find('#chip');
  if (chip === undefined) return;
  const late = Date.now() - heard > LATE_MS;
  const [tone, words] = !connected
    ? ['bad', 'Disconnected, retrying']
    : late
      ? ['wait', `Updated ${age()}`]
      : ['live', 'Live'];
  if (chip.textContent !== words) chip.textContent = words;
  chip.title = connected ? '' : `Last data ${age()}`;
  if (chip.dataset['tone'] !== tone) {
    if (chip.dataset['tone'] !== 'wait' || tone === 'bad') announce(words);
    chip.dataset['tone'] = tone;
  }
  document.body.classList.toggle('stale', !connected || late);
};

const setConnected = (now: boolean): void => {
  connected = now;
  showChip();
};

const readNow = async (): Promise<void> => {
  try {
    await refresh();
    heard = Date.now();
  } catch {
    // The chip says how old the data is, and the next poll tries again.
  }
  showChip();
};

/** Several events at once lead to one reading. */
const readSoon = (): void => {
  settling ??= setTimeout(() => {
    settling = undefined;
    void readNow();
  }, SETTLE_MS);
};

const showProgress = (rows: readonly ProgressRow[]): void => {
  for (const row of rows) {
    for (const root of findAll(`[data-run="${CSS.escape(row.run)}"]`)) {
      for (const [name, text] of Object.entries(row.texts)) {
        for (const field of findAll(`[data-field="${name}"]`, root)) {
          if (field.textContent !== text) field.textContent = text;
        }
        for (const bar of findAll<HTMLProgressElement>(`[data-field-value="${name}"]`, root)) {
          bar.value = Number(text);
        }
      }
    }
    for (const listener of progressListeners) listener(row);
  }
};

const connect = (): void => {
  source?.close();
  const { run, lastEvent } = document.body.dataset;
  const query = new URLSearchParams({ after: lastEvent ?? '0' });
  if (run !== undefined) query.set('run', run);
  source = new EventSource(`/live?${query}`);
  const listen = (name: string, hear: (data: string) => void): void => {
    source?.addEventListener(name, (event: MessageEvent<string>) => {
      heard = Date.now();
      if (event.lastEventId !== '') document.body.dataset['lastEvent'] = event.lastEventId;
      if (!connected) setConnected(true);
      hear(event.data);
    });
  };
  listen('alive', () => showChip());
  listen('happened', (data) => {
    const event = JSON.parse(data) as Happened;
    if (event.kind === 'state' || event.kind === 'error') announce(event.message);
    readSoon();
  });
  listen('reset', () => readSoon());
  listen('progress', (data) => showProgress(JSON.parse(data) as ProgressRow[]));
  source.addEventListener('error', () => {
    setConnected(false);
    // The browser tries again by itself, except where the server refused.
    if (source?.readyState === EventSource.CLOSED) setTimeout(connect, POLL_MS);
  });
};

export const startLive = (): void => {
  connect();
  setInterval(showChip, 1_000);
  setInterval(() => {
    if (!connected && !document.hidden) readSoon();
  }, POLL_MS);
  // A browser holds six connections to one host: a page that nobody sees gives its one back.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      source?.close();
    } else {
      connect();
      readSoon();
    }
  });
};
