import { Hono } from 'hono';
import type { Assets } from '../assets.ts';

export const assetRoutes = (assets: Assets): Hono =>
  new Hono()
    .get('/assets/:file', (context) => {
      const asset = assets.files.get(context.req.param('file'));
      if (asset === undefined) return context.text('No such file.\n', 404);
      return context.body(new Uint8Array(asset.body), 200, {
        'Content-Type': asset.type,
        'Cache-Control': 'public, max-age=31536000, immutable',
      });
    })
    .get('/favicon.ico', (context) => context.redirect(assets.icon, 302));
