import { existsSync } from 'node:fs';
import { chmod, mkdir, rename } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { cacheHome } from '../db/home.ts';
import { TillerError } from '../recipes/errors.ts';
import { buildEngine, type BuildProgress, removeBuild } from './build.ts';
import { type Archive, downloadEngine, officialArchive } from './download.ts';
import { readStamp, versionError } from './database.ts';
import { withLock } from './lock.ts';
import { type OutsideEngine, outsideEngine } from './outside.ts';
import { type EngineVersion, PINNED, readVersion, sameSchema, UnusableEngine } from './version.ts';

export type EngineProgress = BuildProgress | { phase: 'download'; done: number; total?: number };

export interface FindOptions {
  env?: NodeJS.ProcessEnv;
  /** One line for each step that a person may wonder about. */
  log?: (line: string) => void;
  progress?: (progress: EngineProgress) => void;
  signal?: AbortSignal;
  /** The engine's database file: a binary that wrote it, or one alike, is preferred. */
  databaseFile?: string;
  /** For tests: another archive than the official one. */
  archive?: Archive;
}

export interface BinaryEngine {
  kind: 'binary';
  path: string;
  source: 'given' | 'path' | 'cache' | 'download' | 'build';
  version: EngineVersion;
}

/**
 * Finds Temporal's own server: an outside one, a given binary, one on PATH, the cache, the official
 * download, a build from the Go module proxy; the first that works. Two callers at once get the same.
 * Errors: ENGINE_NOT_FOUND, ENGINE_VERSION, ENGINE_DOWNLOAD_FAILED, ENGINE_NO_GO,
 * ENGINE_BUILD_FAILED, DISK_FULL.
 */
export async function findEngine(options: FindOptions = {}): Promise<OutsideEngine | BinaryEngine> {
  const here = await findEngineHere(options);
  if (here !== undefined) return here;
  const bound = await boundVersion(options);
  const version = versionToGet(bound);
  try {
    return await fetched(version, options);
  } catch (error) {
    if (!(error instanceof TillerError) || bound === undefined || version === PINNED) throw error;
    throw versionError(options.databaseFile ?? 'engine.db', bound.server, error.message);
  }
}

/** As findEngine, of what is on this machine: nothing is downloaded or built. */
export async function findEngineHere(
  options: FindOptions = {},
): Promise<OutsideEngine | BinaryEngine | undefined> {
  const outside = outsideEngine(options.env ?? process.env);
  if (outside !== undefined) return outside;
  const bound = await boundVersion(options);
  return (
    (await given(bound, options)) ??
    (await onPath(bound, options)) ??
    (await cached(versionToGet(bound), options))
  );
}

/** What the database file binds us to; one that was never finished binds nobody. */
async function boundVersion({ databaseFile }: FindOptions): Promise<EngineVersion | undefined> {
  const stamp = databaseFile === undefined ? undefined : await readStamp(databaseFile);
  return stamp?.state === 'ready' ? stamp : undefined;
}

const fits = (version: EngineVersion, bound: EngineVersion | undefined): boolean =>
  bound === undefined || sameSchema(version.server, bound.server);

/** Any version with the same schema will do: then the one that can also be built. */
const versionToGet = (bound: EngineVersion | undefined): EngineVersion =>
  bound === undefined || fits(PINNED, bound) ? PINNED : bound;

async function given(
  bound: EngineVersion | undefined,
  { env = process.env, signal, databaseFile = 'engine.db' }: FindOptions,
): Promise<BinaryEngine | undefined> {
  const path = env['TILLER_TEMPORAL'];
  if (!path) return undefined;
  const binary = resolve(path);
  try {
    const version = await readVersion(binary, { env, ...(signal && { signal }) });
    if (fits(version, bound)) {
      return { kind: 'binary', path: binary, source: 'given', version };
    }
    throw versionError(databaseFile, bound!.server, `TILLER_TEMPORAL holds ${version.server}`);
  } catch (error) {
    if (!(error instanceof UnusableEngine)) throw error;
    throw new TillerError('ENGINE_NOT_FOUND', `TILLER_TEMPORAL cannot be used: ${error.message}`, {
      hint: "Let it name Temporal's command line, or unset it.",
      cause: error,
    });
  }
}

async function onPath(
  bound: EngineVersion | undefined,
  { env = process.env, log, signal }: FindOptions,
): Promise<BinaryEngine | undefined> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'temporal');
    if (!isAbsolute(folder) || !existsSync(path)) continue;
    try {
      const version = await readVersion(path, { env, ...(signal && { signal }) });
      if (fits(version, bound)) {
        return { kind: 'binary', path, source: 'path', version };
      }
      log?.(`${path} holds server ${version.server}, the engine's database is of ${bound!.server}`);
    } catch (error) {
      if (!(error instanceof UnusableEngine)) throw error;
      log?.(error.message);
    }
  }
  return undefined;
}

const cachePath = (env: NodeJS.ProcessEnv, cli: string): string =>
  join(cacheHome(env), 'engine', `temporal-${cli}`);

async function cached(
  { cli }: EngineVersion,
  { env = process.env, log, signal }: FindOptions,
): Promise<BinaryEngine | undefined> {
  const path = cachePath(env, cli);
  if (!existsSync(path)) return undefined;
  try {
    const version = await readVersion(path, { env, ...(signal && { signal }) });
    return { kind: 'binary', path, source: 'cache', version };
  } catch (error) {
    if (!(error instanceof UnusableEngine)) throw error;
    log?.(`${error.message}: getting it again`);
    return undefined;
  }
}

async function fetched(wanted: EngineVersion, options: FindOptions): Promise<BinaryEngine> {
  const { env = process.env, log, signal } = options;
  const folder = join(cacheHome(env), 'engine');
  await mkdir(folder, { recursive: true });
  const job = async (): Promise<BinaryEngine> =>
    (await cached(wanted, options)) ?? // by another caller, meanwhile
    (await downloaded(wanted, options)) ??
    (await built(wanted, options));
  return withLock(join(folder, 'lock'), job, {
    signal,
    onWait: () => log?.('another process is getting the engine: waiting for it'),
  });
}

/** Undefined where the download failed and a build can take its place. */
async function downloaded(
  { cli }: EngineVersion,
  options: FindOptions,
): Promise<BinaryEngine | undefined> {
  const { env = process.env, log, signal, progress } = options;
  const folder = `${cachePath(env, cli)}.download`;
  try {
    const archive = options.archive ?? officialArchive(cli);
    const binary = await downloadEngine(archive, folder, {
      signal,
      log,
      progress: (done, total) =>
        progress?.({ phase: 'download', done, ...(total !== undefined && { total }) }),
    });
    return await keep(binary, cli, 'download', options);
  } catch (error) {
    if (!(error instanceof TillerError) || cli !== PINNED.cli) throw error;
    log?.(error.message);
    return undefined;
  } finally {
    await removeBuild(folder);
  }
}

async function built({ cli }: EngineVersion, options: FindOptions): Promise<BinaryEngine> {
  const { env = process.env, log, progress, signal } = options;
  const folder = `${cachePath(env, cli)}.build`;
  const binary = await buildEngine(folder, { env, log, progress, signal });
  const engine = await keep(binary, cli, 'build', options);
  await removeBuild(folder);
  return engine;
}

/** Puts a binary that was shown to run into the cache, in one step. */
async function keep(
  binary: string,
  cli: string,
  source: 'download' | 'build',
  { env = process.env, signal }: FindOptions,
): Promise<BinaryEngine> {
  const path = cachePath(env, cli);
  await chmod(binary, 0o755);
  try {
    const version = await readVersion(binary, { env, ...(signal && { signal }) });
    await rename(binary, path);
    return { kind: 'binary', path, source, version };
  } catch (error) {
    if (!(error instanceof UnusableEngine)) throw error;
    const code = source === 'download' ? 'ENGINE_DOWNLOAD_FAILED' : 'ENGINE_BUILD_FAILED';
    throw new TillerError(code, `The engine that came is of no use: ${error.message}`, {
      hint: "Put Temporal's command line on PATH, or name it in TILLER_TEMPORAL.",
      cause: error,
    });
  }
}
