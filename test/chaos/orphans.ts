/** Processes that still belong to a home: they name it in their command line or environment. */
import { readdir, readFile } from 'node:fs/promises';

export async function orphans(home: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const [command, environment] = await Promise.all([read(pid, 'cmdline'), read(pid, 'environ')]);
    if (!command.includes(home) && !environment.includes(home)) continue;
    found.push(`${pid} ${command.replaceAll('\0', ' ').trim()}`);
  }
  return found;
}

async function read(pid: string, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It ended, or it is somebody else's.
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return '';
    throw error;
  }
}
