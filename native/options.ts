import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** What every step of a build is given. */
export interface BuildOptions {
  /** Called with one line a stage: what is being done. */
  log?: (line: string) => void;
  /** The environment in which programs are looked up and run. */
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

/** The XDG cache folder; a relative XDG_CACHE_HOME is ignored, as the XDG specification says. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const home = env['XDG_CACHE_HOME'];
  return join(home && isAbsolute(home) ? home : join(homedir(), '.cache'), 'tiller');
}

/** How execa is to run a program: in this environment alone, and stopped with the build. */
export function runOptions({ env = process.env, signal }: BuildOptions) {
  return {
    env,
    extendEnv: false,
    stdin: 'ignore',
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  } as const;
}
