/** The sample that a run's trainer is making. Never kept by a browser: the next one has the same place. */
import { Hono } from 'hono';
import { runForPage } from '../../db/pages.ts';
import { previewOf } from '../doing.ts';
import { previewPicture } from '../preview-file.ts';
import type { RouteDeps } from './deps.ts';

export const previewRoutes = ({ db, runs }: RouteDeps): Hono =>
  new Hono().get('/runs/:id/previews/:key', async (context) => {
    const { id, key } = context.req.param();
    context.header('Cache-Control', 'no-store');
    const run = runForPage(db, id);
    if (run === undefined || !/^\d{1,15}-\d{1,9}-\d{1,9}$/.test(key)) {
      return context.text('No such picture.\n', 404);
    }
    const preview = previewOf(db, run.id);
    // Over before the page asked, as happens every time: no fault that a browser should report.
    if (preview?.picture == null || preview.key !== key) return context.body(null, 204);
    const picture = await previewPicture(runs, run.id, preview.picture);
    // It was another sample's by the time that it was read.
    const still = previewOf(db, run.id)?.key === key;
    if (picture === undefined || !still) return context.body(null, 204);
    return context.body(new Uint8Array(picture), 200, { 'Content-Type': 'image/webp' });
  });
