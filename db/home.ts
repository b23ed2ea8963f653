/** Where Tiller keeps things: its state in the home, what can be made again in the cache. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export function tillerHome(env: NodeJS.ProcessEnv = process.env): string {
  const given = env['TILLER_HOME'];
  return given
    ? resolve(given)
    : join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'tiller');
}

export const cacheHome = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tiller');

export const homePaths = (home: string) => ({
  record: join(home, 'tiller.db'),
  engine: join(home, 'engine.db'),
  runs: join(home, 'runs'),
  artifacts: join(home, 'artifacts'),
  datasets: join(home, 'datasets'),
  logs: join(home, 'logs'),
});

/** A file by its content. */
export const artifactPath = (home: string, sha256: string): string =>
  join(homePaths(home).artifacts, sha256.slice(0, 2), sha256);
