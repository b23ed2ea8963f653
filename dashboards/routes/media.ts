/**
 * Pictures by the id of their sample, never by a path. The file's place follows from the hash that
 * the record holds, and its real path must lie in the artifacts' folder.
 */
import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname, join, sep } from 'node:path';
import { Hono, type Context } from 'hono';
import sharp from 'sharp';
import { sampleFile } from '../../db/page-details.ts';
import type { RouteDeps } from './deps.ts';

const sizes = new Set(['256', '512']);
const shown = new Set(['image/png', 'image/webp', 'image/jpeg']);
const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const immutable = 'private, max-age=31536000, immutable';
/** Pictures are small; what is larger than this is not decoded. */
const MOST_PIXELS = 64_000_000;
/** Up to this size a thumbnail keeps every pixel. */
const SMALL = 256;

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** The file of an artifact, if it is really there. */
const fileOf = async (root: string, sha256: string): Promise<string | undefined> => {
  if (!/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  try {
    const [realRoot, real] = await Promise.all([
      realpath(root),
      realpath(join(root, sha256.slice(0, 2), sha256)),
    ]);
    return real.startsWith(realRoot + sep) ? real : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
};

const readIfThere = async (file: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
};

/** Makes a thumbnail, and keeps it beside the artifact; two at once write the same bytes. */
const thumbnailOf = async (file: string, size: number): Promise<Buffer> => {
  const kept = `${file}.${size}.webp`;
  const ready = await readIfThere(kept);
  if (ready !== undefined) return ready;
  const image = sharp(file, { limitInputPixels: MOST_PIXELS });
  const { width, height } = await image.metadata();
  const small = Math.max(width, height) <= SMALL;
  const made = await image
    .resize(size, size, { fit: 'inside', withoutEnlargement: true })
    .webp(small ? { lossless: true } : { quality: 82 })
    .toBuffer();
  const staging = `${kept}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(dirname(kept), { recursive: true });
    await writeFile(staging, made);
    await rename(staging, kept);
  } catch {
    // A full or read-only disk: the picture is shown all the same, only not kept.
    await rm(staging, { force: true });
  }
  return made;
};

export const mediaRoutes = ({ db, artifacts }: RouteDeps): Hono => {
  const app = new Hono();

  const notFound = (context: Context): Response => context.text('No such picture.\n', 404);

  const send = (context: Context, body: Buffer, type: string): Response =>
    context.body(new Uint8Array(body), 200, { 'Content-Type': type, 'Cache-Control': immutable });

  app.get('/media/:id/:name', async (context) => {
    const { id, name } = context.req.param();
    const size = /^(\d+)\.webp$/.exec(name)?.[1];
    if (!idPattern.test(id) || size === undefined || !sizes.has(size)) return notFound(context);
    const sample = sampleFile(db, id);
    if (sample === undefined || !shown.has(sample.mediaType)) return notFound(context);
    const file = await fileOf(artifacts, sample.sha256);
    if (file === undefined) return notFound(context);
    return send(context, await thumbnailOf(file, Number(size)), 'image/webp');
  });

  app.get('/media/:id', async (context) => {
    const { id } = context.req.param();
    const sample = idPattern.test(id) ? sampleFile(db, id) : undefined;
    if (sample === undefined || !shown.has(sample.mediaType)) return notFound(context);
    const file = await fileOf(artifacts, sample.sha256);
    if (file === undefined) return notFound(context);
    return send(context, await readFile(file), sample.mediaType);
  });

  return app;
};
