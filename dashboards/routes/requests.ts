/** The only writes: what a person asks of a run. */
import { Hono } from 'hono';
import { z } from 'zod';
import { runForPage } from '../../db/pages.ts';
import { TillerError } from '../../recipes/errors.ts';
import { plainVerbs } from '../pages/controls.ts';
import type { RouteDeps } from './deps.ts';

const bodySchema = z.union([
  z
    .strictObject({
      verb: z.enum(plainVerbs),
      after: z.enum(['now', 'step', 'epoch']).default('step'),
    })
    .refine(({ verb, after }) => after !== 'now' || verb === 'stop'),
  z.strictObject({ verb: z.literal('extend'), epochs: z.int().min(1).max(100_000) }),
  z.strictObject({ verb: z.literal('delete'), name: z.string().max(64) }),
]);

export const requestRoutes = ({ db, sendRequest }: RouteDeps): Hono => {
  const app = new Hono();

  app.post('/runs/:id/requests', async (context) => {
    const run = runForPage(db, context.req.param('id'));
    if (run === undefined) {
      return context.json(
        { error: { code: 'RUN_NOT_FOUND', message: 'There is no such run.' } },
        404,
      );
    }
    const body: unknown = await context.req.json().catch(() => undefined);
    const ask = bodySchema.safeParse(body);
    if (!ask.success) {
      return context.json(
        {
          error: {
            message: `Ask for one of: ${plainVerbs.join(', ')}, or to extend by 1 to 100,000 epochs.`,
          },
        },
        400,
      );
    }
    const { data } = ask;
    if (data.verb === 'delete' && data.name !== run.name) {
      const message = `Nothing was deleted: type ${run.name} to delete it.`;
      return context.json({ error: { message } }, 400);
    }
    try {
      const { id } = await sendRequest(
        data.verb === 'delete' ? { run: run.id, verb: data.verb } : { run: run.id, ...data },
      );
      return context.json({ request: id }, 202);
    } catch (error) {
      if (!(error instanceof TillerError)) throw error;
      const { code, line } = error;
      return context.json(
        { error: { code, message: line } },
        code === 'REQUEST_REFUSED' ? 409 : 503,
      );
    }
  });

  return app;
};
