import { Hono } from 'hono';
import {
  epochsForPage,
  evaluationsOfRun,
  runForPage,
  samplesOfRun,
  usageOfEpochs,
  newestEvents,
} from '../../db/pages.ts';
import {
  curvesOfRun,
  marksOfRun,
  newestCheckpoint,
  plannedMemory,
  requestsForPage,
} from '../../db/page-details.ts';
import { parseView } from '../pages/curves.ts';
import { layout } from '../pages/layout.ts';
import { problemPage } from '../pages/problem.ts';
import { runPage } from '../pages/run.ts';
import { makingOf } from '../doing.ts';
import { offersOf } from '../offers.ts';
import { lostByForce, progressTexts, recipeOf } from '../progress.ts';
import { axisOf } from '../axis.ts';
import type { RouteDeps } from './deps.ts';

const READ_EVENTS = 300;
const MOST_BUCKETS = 2_000;

export const runRoutes = (deps: RouteDeps): Hono => {
  const { db } = deps;
  const app = new Hono();

  app.get('/runs/:id', (context) => {
    const run = runForPage(db, context.req.param('id'));
    if (run === undefined) {
      context.status(404);
      return context.html(
        layout(
          deps.frame(context),
          problemPage('There is no such run', 'It may have been deleted.'),
        ),
      );
    }
    const now = deps.now();
    return context.html(
      layout(deps.frame(context), {
        title: `${run.name} – Tiller`,
        name: 'run',
        run: run.id,
        body: runPage({
          run,
          texts: progressTexts(db, run, now),
          epochs: epochsForPage(db, run.id),
          evaluations: evaluationsOfRun(db, run.id, recipeOf(run).validation.weights),
          samples: samplesOfRun(db, run.id),
          usage: usageOfEpochs(db, run.id),
          requests: requestsForPage(db, run.id),
          offers: offersOf(db, run),
          lost: lostByForce(db, run),
          events: newestEvents(db, run.id, READ_EVENTS),
          curves: curvesOfRun(db, run.id),
          checkpoint: newestCheckpoint(db, run.id),
          making: makingOf(db, run.id),
          memory: plannedMemory(db, run.id),
          view: parseView(context.req.query()),
          now,
        }),
      }),
    );
  });

  /** A curve, reduced to what a screen can show. */
  app.get('/runs/:id/curve', (context) => {
    const run = runForPage(db, context.req.param('id'));
    if (run === undefined) {
      return context.json(
        { error: { code: 'RUN_NOT_FOUND', message: 'There is no such run.' } },
        404,
      );
    }
    const view = parseView(context.req.query());
    const asked = Number(context.req.query('buckets') ?? 600);
    const buckets = Number.isFinite(asked)
      ? Math.min(MOST_BUCKETS, Math.max(10, Math.round(asked)))
      : 600;
    const reduced = deps.curves.reduce(run.id, view.curve, {
      from: view.from,
      to: view.to,
      buckets,
      smooth: view.smooth,
      clip: view.clip,
      log: view.log,
    });
    const axis = axisOf(db, deps.curves, run, view.x);
    context.header('Cache-Control', 'no-store');
    return context.json({
      ...reduced,
      raw: { ...reduced.raw, x: reduced.raw.steps.map(axis.at) },
      smooth: { ...reduced.smooth, x: reduced.smooth.steps.map(axis.at) },
      nan: reduced.nan.map((step) => ({ step, x: axis.at(step) })),
      marks: marksOfRun(db, run.id).map((mark) => ({ ...mark, x: axis.at(mark.step) })),
      axis: axis.label,
      stepsPerEpoch: run.stepsPerEpoch,
    });
  });

  return app;
};
