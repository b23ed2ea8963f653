/** What every step of a build is given. */
export interface BuildOptions {
  /** Called with one line a stage: what is being done. */
  log?: (line: string) => void;
  /** The environment in which programs are looked up and run. */
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
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
