import { Hono } from 'hono';
import { lastEventId } from '../../db/pages.ts';
import type { RouteDeps } from './deps.ts';

/** Answers only if the record can be read. */
export const healthRoutes = ({ db }: RouteDeps): Hono =>
  new Hono().get('/healthz', (context) => {
    const event = lastEventId(db);
    return context.json({ ok: true, pid: process.pid, event });
  });
