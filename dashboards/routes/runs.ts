import { Hono } from 'hono';
import { listRunsForPage } from '../../db/pages.ts';
import { layout } from '../pages/layout.ts';
import { runsPage } from '../pages/runs.ts';
import { progressTexts } from '../progress.ts';
import type { RouteDeps } from './deps.ts';

const LONGEST_QUERY = 200;

export const runsRoutes = (deps: RouteDeps): Hono => {
  const app = new Hono();

  app.get('/', (context) => {
    const query = (context.req.query('q') ?? '').slice(0, LONGEST_QUERY).trim();
    const runs = listRunsForPage(deps.db).map((run) => ({
      run,
      texts: progressTexts(deps.db, run, deps.now()),
    }));
    const deleted = context.req.query('deleted')?.slice(0, LONGEST_QUERY);
    const isGone = deleted !== undefined && runs.every(({ run }) => run.name !== deleted);
    return context.html(
      layout(deps.frame(context), {
        title: 'Runs – Tiller',
        name: 'runs',
        body: runsPage(runs, query, isGone ? deleted : undefined),
      }),
    );
  });

  app.get('/runs', (context) => context.redirect('/', 301));

  return app;
};
