/**
 * The stream of what happens: events of the record with their ids, so that a page that was away asks
 * from where it stopped (`Last-Event-ID`), and the progress of the runs that move.
 */
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { eventsSince, listRunsForPage, runForPage } from '../../db/pages.ts';
import { makingOf } from '../doing.ts';
import { progressTexts, underWay } from '../progress.ts';
import type { RouteDeps } from './deps.ts';

/** A page that missed more than this reads everything anew instead. */
const MOST_MISSED = 500;
const ALIVE_MS = 5_000;

const eventId = (text: string | undefined): number =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0;

export const liveRoutes = ({ db, bell, now }: RouteDeps): Hono => {
  const app = new Hono();

  app.get('/live', (context) => {
    const run = context.req.query('run');
    let last = eventId(context.req.header('last-event-id') ?? context.req.query('after'));
    context.header('X-Accel-Buffering', 'no');
    return streamSSE(context, async (stream) => {
      const ended = new AbortController();
      stream.onAbort(() => ended.abort());
      let sent = '';

      const sendEvents = async (): Promise<void> => {
        const missed = eventsSince(db, last, run, MOST_MISSED + 1);
        const newest = missed.at(-1);
        if (newest === undefined) return;
        if (missed.length > MOST_MISSED) {
          // Too much to tell one by one: the page is asked to read itself again.
          last = eventsSince(db, last, run, Number.MAX_SAFE_INTEGER).at(-1)?.id ?? newest.id;
          await stream.writeSSE({ id: String(last), event: 'reset', data: '{}' });
          return;
        }
        for (const event of missed) {
          await stream.writeSSE({
            id: String(event.id),
            event: 'happened',
            data: JSON.stringify(event),
          });
        }
        last = newest.id;
      };

      const sendProgress = async (): Promise<void> => {
        const one = run === undefined ? undefined : runForPage(db, run);
        const runs =
          run === undefined
            ? listRunsForPage(db).filter(({ state }) => underWay.has(state))
            : one === undefined
              ? []
              : [one];
        const data = JSON.stringify(
          runs.map((row) => ({
            run: row.id,
            step: row.step,
            texts: progressTexts(db, row, now()),
            // Only the page of a run has a place for it.
            ...(run === undefined ? {} : { making: makingOf(db, row.id) }),
          })),
        );
        if (data === sent) return;
        sent = data;
        await stream.writeSSE({ event: 'progress', data });
      };

      await stream.writeSSE({ event: 'alive', data: String(now()), retry: 1000 });
      while (!ended.signal.aborted) {
        await sendEvents();
        await sendProgress();
        await stream.writeSSE({ event: 'alive', data: String(now()) });
        await bell.wait(ALIVE_MS, ended.signal);
      }
    });
  });

  return app;
};
