import { rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The XDG cache folder; a relative XDG_CACHE_HOME is ignored, as the XDG specification says. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const home = env['XDG_CACHE_HOME'];
  return join(home && isAbsolute(home) ? home : join(homedir(), '.cache'), 'tiller');
}

/** Renames a finished folder into place. If another build was first, its folder stands. */
export async function moveInto(temporary: string, folder: string): Promise<void> {
  try {
    await rename(temporary, folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}
