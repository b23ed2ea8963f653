/** The dashboard as an application without a socket: what the tests and the server share. */
import { Hono, type Context } from 'hono';
import { getCookie } from 'hono/cookie';
import type { Db } from '../db/connection.ts';
import { lastEventId } from '../db/pages.ts';
import type { Assets } from './assets.ts';
import { createBell } from './bell.ts';
import { createCurves } from './curves.ts';
import { houseState } from './house.ts';
import { layout, type Frame, type Theme } from './pages/layout.ts';
import { problemPage } from './pages/problem.ts';
import { assetRoutes } from './routes/assets.ts';
import { compareRoutes } from './routes/compare.ts';
import type { RouteDeps, SendRequest } from './routes/deps.ts';
import { healthRoutes } from './routes/health.ts';
import { liveRoutes } from './routes/live.ts';
import { mediaRoutes } from './routes/media.ts';
import { previewRoutes } from './routes/preview.ts';
import { requestRoutes } from './routes/requests.ts';
import { runRoutes } from './routes/run.ts';
import { runsRoutes } from './routes/runs.ts';
import { checkHost, createSessions, limitBody, pageHeaders } from './security.ts';

export interface ServerOptions {
  readonly db: Db;
  /** Folder of the artifacts. */
  readonly artifacts: string;
  /** Folder of the runs' folders. */
  readonly runs: string;
  readonly assets: Assets;
  readonly sendRequest: SendRequest;
  readonly now?: () => number;
  /** Host names besides those of loopback, for whoever puts a proxy in front. */
  readonly hosts?: readonly string[];
  /** Told of errors that nobody expected. */
  readonly onError?: (error: Error) => void;
}

const themes: readonly Theme[] = ['system', 'light', 'dark'];

const themeOf = (context: Context): Theme =>
  themes.find((theme) => theme === getCookie(context, 'tiller-theme')) ?? 'system';

export interface Server {
  readonly app: Hono;
  close(): void;
}

export const createServer = (options: ServerOptions): Server => {
  const { db, assets, now = Date.now } = options;
  const sessions = createSessions();
  const bell = createBell(db);
  const frame = (context: Context): Frame => ({
    assets,
    token: sessions.tokenFor(context),
    theme: themeOf(context),
    lastEvent: lastEventId(db),
    house: houseState(db),
  });
  const deps: RouteDeps = {
    db,
    artifacts: options.artifacts,
    runs: options.runs,
    curves: createCurves(db),
    bell,
    sendRequest: options.sendRequest,
    now,
    frame,
  };

  const app = new Hono();
  app.use(checkHost(options.hosts ?? []), pageHeaders(), limitBody(), sessions.checkWrite);
  app.use(async (context, next) => {
    await next();
    // What is not said to be immutable is read anew each time.
    if (!context.res.headers.has('Cache-Control')) context.header('Cache-Control', 'no-store');
  });
  for (const routes of [
    healthRoutes(deps),
    assetRoutes(assets),
    mediaRoutes(deps),
    previewRoutes(deps),
    liveRoutes(deps),
    requestRoutes(deps),
    runsRoutes(deps),
    runRoutes(deps),
    compareRoutes(deps),
  ]) {
    app.route('/', routes);
  }
  app.notFound((context) => {
    context.status(404);
    return context.html(
      layout(frame(context), problemPage('There is no such page', 'The address leads nowhere.')),
    );
  });
  app.onError((error, context) => {
    options.onError?.(error);
    context.status(500);
    return context.html(
      layout(
        frame(context),
        problemPage(
          'This page could not be made',
          'The dashboard has a fault; its log says more. Nothing that was recorded is lost.',
        ),
      ),
    );
  });
  return { app, close: () => bell.close() };
};
