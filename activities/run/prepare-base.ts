/**
 * The base that a run stands on: its content is hashed once, and the run is pinned to it. A base that
 * was replaced since is refused, for what was trained so far would mean nothing on it.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { appendEvent } from '../../db/events.ts';
import { getRun, recipeOf, setRunState, updateRun, type RunRow } from '../../db/runs.ts';
import { writeClipTokenizer } from '../../native/clip-tokenizer.ts';
import { NativeError } from '../../native/errors.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Recipe } from '../../recipes/schema.ts';
import type { Deps } from '../deps.ts';
import { statIfThere } from '../dataset/disk.ts';
import { runFolder } from '../training/job.ts';
import { pinnedBase, type PinnedBase, type PinnedFile } from './pinned-base.ts';

export async function prepareBase(deps: Deps, runId: string): Promise<void> {
  const run = getRun(deps.db, runId);
  const recipe = recipeOf(run);
  if (recipe.base === undefined || typeof recipe.trainer !== 'string') return;
  const pinned = pinnedBase(run);
  if (pinned !== null) return mustBeTheSame(pinned, run, recipe);
  setRunState(deps.db, runId, 'preparing');
  const base = await hashOf(recipe.base);
  const vae = recipe.vae === undefined ? null : await hashOf(recipe.vae);
  const made: PinnedBase = {
    hash: base.hash,
    vae_hash: vae?.hash ?? null,
    files: [...base.files, ...(vae?.files ?? [])],
    tokenizer:
      recipe.model.architecture === 'sd1' ? await copyTokenizer(deps, run, recipe.base) : null,
  };
  updateRun(deps.db, runId, { base: JSON.stringify(made) });
  const message = `${recipe.base} is ${base.hash.slice(0, 12)}`;
  appendEvent(deps.db, { run: runId, kind: 'base', message });
}

async function hashOf(path: string): Promise<{ hash: string; files: PinnedFile[] }> {
  const names = await filesOf(path);
  const all = createHash('sha256');
  const files: PinnedFile[] = [];
  for (const name of names) {
    const file = name === '' ? path : join(path, name);
    const hash = createHash('sha256');
    await pipeline(createReadStream(file), hash);
    all.update(`${name}\0${hash.digest('hex')}\0`);
    const { size, mtimeMs: mtime } = await stat(file);
    files.push({ path: file, size, mtime });
  }
  return { hash: all.digest('hex'), files };
}

/** A file, or what a folder's model is made of. Errors: BASE_NOT_FOUND. */
async function filesOf(path: string): Promise<string[]> {
  const found = await statIfThere(path);
  if (found === undefined) {
    throw new TillerError('BASE_NOT_FOUND', `There is no base at ${path}`, {
      hint: 'Check `base` and `vae` in the recipe; a relative path starts at the recipe.',
    });
  }
  if (!found.isDirectory()) return [''];
  const names = await readdir(path, { recursive: true });
  return names.filter((name) => /\.(safetensors|json|txt)$/.test(name)).sort();
}

async function copyTokenizer({ env, home }: Deps, run: RunRow, base: string): Promise<string> {
  const own = join(base, 'tokenizer');
  const brings = await statIfThere(join(own, 'vocab.json'));
  try {
    const { path } = await writeClipTokenizer({
      ...(brings === undefined ? {} : { diffusers: base }),
      env,
    });
    const folder = runFolder(home, run.id);
    await mkdir(folder, { recursive: true });
    const target = join(folder, 'tokenizer.json');
    await copyFile(path, target);
    return target;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    throw new TillerError(error.code, error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}

async function mustBeTheSame(pinned: PinnedBase, run: RunRow, recipe: Recipe): Promise<void> {
  const touched = [];
  for (const { path, size, mtime } of pinned.files) {
    const now = await statIfThere(path);
    if (now === undefined || now.size !== size || now.mtimeMs !== mtime) touched.push(path);
  }
  if (touched.length === 0) return;
  const { hash } = await hashOf(recipe.base!);
  const vae = recipe.vae === undefined ? null : (await hashOf(recipe.vae)).hash;
  if (hash === pinned.hash && vae === pinned.vae_hash) return;
  throw new TillerError(
    'BASE_CHANGED',
    `${touched[0]} is no longer what run ${run.name} began with`,
    { hint: 'Put the same file back, or start a new run.' },
  );
}
