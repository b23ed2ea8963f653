/** Where Tiller keeps its state, and where its caches. */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

export interface HomePaths {
  /** The record. */
  record: string;
  /** The engine's own database. */
  engine: string;
  runs: string;
  artifacts: string;
  datasets: string;
  /** What autoencoders made of pictures; can be made anew. */
  latents: string;
  logs: string;
}

/** $TILLER_HOME, else the folder `tiller` of the system's data folder (XDG). */
export function tillerHome(env: NodeJS.ProcessEnv = process.env): string {
  const own = env['TILLER_HOME'];
  return own ? resolve(own) : join(xdg(env, 'XDG_DATA_HOME', ['.local', 'share']), 'tiller');
}

/** What can be made anew: the engine's binary, compiled trainers, unpacked headers. */
export const cacheHome = (env: NodeJS.ProcessEnv = process.env): string =>
  join(xdg(env, 'XDG_CACHE_HOME', ['.cache']), 'tiller');

export const homePaths = (home: string): HomePaths => ({
  record: join(home, 'tiller.db'),
  engine: join(home, 'engine.db'),
  runs: join(home, 'runs'),
  artifacts: join(home, 'artifacts'),
  datasets: join(home, 'datasets'),
  latents: join(home, 'latents'),
  logs: join(home, 'logs'),
});

/** A file by its content. */
export const artifactPath = (home: string, sha256: string): string =>
  join(homePaths(home).artifacts, sha256.slice(0, 2), sha256);

/** The specification says that a relative path is to be ignored. */
function xdg(env: NodeJS.ProcessEnv, name: string, fallback: readonly string[]): string {
  const path = env[name];
  return path && isAbsolute(path) ? path : join(env['HOME'] || homedir(), ...fallback);
}
