/** The only writes: what a person asks of a run. */
import { Hono } from 'hono';
import { z } from 'zod';
import { type ListedRun, runForPage } from '../../db/pages.ts';
import { checkPrompt } from '../../recipes/check-prompt.ts';
import { type ErrorCode, TillerError } from '../../recipes/errors.ts';
import { plainVerbs } from '../pages/controls.ts';
import { recipeOf } from '../progress.ts';
import type { Ask, RouteDeps } from './deps.ts';

const bodySchema = z.union([
  z
    .strictObject({
      verb: z.enum(plainVerbs),
      after: z.enum(['now', 'step', 'epoch']).default('step'),
    })
    .refine(({ verb, after }) => after !== 'now' || verb === 'stop'),
  z.strictObject({ verb: z.literal('extend'), epochs: z.int().min(1).max(100_000) }),
  z.strictObject({ verb: z.literal('delete'), name: z.string().max(64) }),
  z.strictObject({
    verb: z.literal('prompts'),
    add: z.record(z.string(), z.unknown()).optional(),
    drop: z.int().min(0).optional(),
  }),
  z.strictObject({ verb: z.literal('make'), epoch: z.int().min(0), prompt: z.int().min(0) }),
]);

/** As the engine's client takes it. Errors: RECIPE_INVALID for a prompt that the run can't sample. */
function askOf(run: ListedRun, body: z.infer<typeof bodySchema>): Ask {
  if (body.verb === 'delete') return { run: run.id, verb: body.verb };
  if (body.verb === 'make') {
    return { run: run.id, verb: body.verb, sample: { epoch: body.epoch, prompt: body.prompt } };
  }
  if (body.verb !== 'prompts') return { run: run.id, ...body };
  const { verb, add, drop } = body;
  return {
    run: run.id,
    verb,
    edit: {
      ...(add === undefined ? {} : { add: checkPrompt(recipeOf(run), add) }),
      ...(drop === undefined ? {} : { drop }),
    },
  };
}

const STATUS: Partial<Record<ErrorCode, 400 | 409>> = {
  RECIPE_INVALID: 400,
  REQUEST_REFUSED: 409,
};

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
    // What is no JSON is none of the bodies: refused below.
    const body: unknown = await context.req.json().catch(() => undefined);
    const ask = bodySchema.safeParse(body);
    if (!ask.success) {
      return context.json(
        {
          error: {
            message: `Ask for one of: ${plainVerbs.join(', ')}, to extend by 1 to 100,000 epochs, for other prompts, or to make a sample.`,
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
      const { id } = await sendRequest(askOf(run, data));
      return context.json({ request: id }, 202);
    } catch (error) {
      if (!(error instanceof TillerError)) throw error;
      const { code, line } = error;
      return context.json({ error: { code, message: line } }, STATUS[code] ?? 503);
    }
  });

  return app;
};
