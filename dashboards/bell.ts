/**
 * Rings when the record has changed. SQLite tells by `data_version` that another connection has
 * written; the newest event's id tells it of our own. Asked twice a second, and only while somebody
 * listens.
 */
import type { Db } from '../db/connection.ts';
import { lastEventId } from '../db/pages.ts';
import { dataVersion } from '../db/page-details.ts';

export const POLL_MS = 500;

export interface Bell {
  /** Resolves at the next change, or after `timeout` milliseconds, or when the signal aborts. */
  wait(timeout: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

export const createBell = (db: Db): Bell => {
  const waiting = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;
  let version = -1;
  let event = -1;

  const look = (): void => {
    const nowVersion = dataVersion(db);
    const nowEvent = lastEventId(db);
    const changed = nowVersion !== version || nowEvent !== event;
    version = nowVersion;
    event = nowEvent;
    if (changed) for (const ring of waiting) ring();
    if (waiting.size === 0) stop();
  };
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };

  return {
    wait: (timeout, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const ring = (): void => {
          clearTimeout(late);
          waiting.delete(ring);
          signal.removeEventListener('abort', ring);
          resolve();
        };
        const late = setTimeout(ring, timeout);
        signal.addEventListener('abort', ring);
        waiting.add(ring);
        timer ??= setInterval(look, POLL_MS);
      }),
    close() {
      stop();
      for (const ring of waiting) ring();
    },
  };
};
