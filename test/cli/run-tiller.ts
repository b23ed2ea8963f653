import { resolve } from 'node:path';
import { execa } from 'execa';

export const bin = resolve(import.meta.dirname, '../../bin/tiller');

export interface Outcome {
  code: number | undefined;
  out: string;
  err: string;
}

/** Runs the real command in a process of its own. */
export async function tiller(
  home: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const { exitCode, stdout, stderr } = await execa(bin, args, {
    env: { TILLER_HOME: home, ...env },
    reject: false,
    stdin: 'ignore',
  });
  return { code: exitCode, out: stdout, err: stderr };
}
