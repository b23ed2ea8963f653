/** The workflows as one piece of code for Temporal's sandbox, made once and kept by the hash of its sources. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { cacheHome } from '../db/home.ts';

const workflows = join(import.meta.dirname, '..', 'workflows');

/** @returns path of the bundle */
export async function workflowBundle(env: NodeJS.ProcessEnv): Promise<string> {
  const path = join(cacheHome(env), 'workflows', `${await hashOfSources()}.js`);
  if (existsSync(path)) return path;
  const { code } = await bundleWorkflowCode({ workflowsPath: join(workflows, 'index.ts') });
  await mkdir(join(path, '..'), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, code);
  await rename(temporary, path);
  return path;
}

async function hashOfSources(): Promise<string> {
  const { version } = createRequire(import.meta.url)('@temporalio/workflow/package.json') as {
    version: string;
  };
  const hash = createHash('sha256').update(version);
  for (const name of (await readdir(workflows)).sort()) {
    hash.update(`\0${name}\0`).update(await readFile(join(workflows, name)));
  }
  return hash.digest('hex').slice(0, 16);
}
