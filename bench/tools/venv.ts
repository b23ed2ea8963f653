/**
 * The peers' Python: a virtual environment in bench/.venv for each list of requirements, made when a
 * benchmark first needs it and again when its list changes.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';

const bench = join(import.meta.dirname, '..');

/**
 * @param requirements a file of bench/
 * @returns the path of its Python
 */
export async function venv(requirements: string): Promise<string> {
  const file = join(bench, requirements);
  const folder = join(bench, '.venv', basename(requirements, '.txt'));
  const python = join(folder, 'bin', 'python');
  const stamp = join(folder, 'made-from');
  const hash = createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
  if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === hash) return python;
  console.error(`making ${folder} from ${requirements}: once, some minutes`);
  await rm(folder, { recursive: true, force: true });
  await execa('python3', ['-m', 'venv', folder], { stdio: ['ignore', 2, 2] });
  await execa(python, ['-m', 'pip', 'install', '--quiet', '-r', file], { stdio: ['ignore', 2, 2] });
  // Last, so that one that was interrupted is made again.
  await writeFile(stamp, hash);
  return python;
}

/** Runs a script of bench/peers and takes the JSON object in the last line of what it prints. */
export async function runPeer<Answer>(
  python: string,
  script: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Answer> {
  const { stdout } = await execa(python, [join(bench, 'peers', script), ...args], {
    env: {
      // A peer that calls home, or that takes the second core, would be measured wrongly.
      DO_NOT_TRACK: '1',
      HF_HUB_OFFLINE: '1',
      OMP_NUM_THREADS: '1',
      OPENBLAS_NUM_THREADS: '1',
      ...env,
    },
    stdin: 'ignore',
    // Its own chatter is shown only when it fails, in the error's message.
    stderr: 'pipe',
  });
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(line) as Answer;
}
