import { existsSync } from 'node:fs';
import { Connection } from '@temporalio/client';
import { homePaths, tillerHome } from '../db/home.ts';
import { TillerError } from '../recipes/errors.ts';
import { checkGo } from './build.ts';
import { checkDatabase, readStamp } from './database.ts';
import { findEngineHere } from './find.ts';
import type { OutsideEngine } from './outside.ts';
import { PINNED } from './version.ts';

/**
 * Where the engine is, or where it will come from, in a sentence. Nothing is downloaded or built.
 * Errors: those of findEngine, ENGINE_UNREACHABLE.
 */
export async function engineState(env: NodeJS.ProcessEnv): Promise<string> {
  const databaseFile = homePaths(tillerHome(env)).engine;
  const said: string[] = [];
  const log = (line: string) => said.push(line);
  const found = await findEngineHere({ env, databaseFile, log });
  const aside = said.map((line) => ` (${line})`).join('');
  if (found?.kind === 'outside') return reach(found);
  if (found !== undefined) {
    const { path, version } = found;
    return `Temporal ${version.cli}, server ${version.server}: ${path}${aside}`;
  }
  await checkGo(env);
  return `not here yet: the first start gets Temporal ${PINNED.cli}, with Go if it can't be downloaded${aside}`;
}

async function reach({ connection, namespace }: OutsideEngine): Promise<string> {
  try {
    const opened = await Connection.connect({
      address: connection.address,
      connectTimeout: '5s',
      ...(connection.tls != null && { tls: connection.tls }),
      ...(typeof connection.apiKey === 'string' && { apiKey: connection.apiKey }),
    });
    await opened.close();
  } catch (error) {
    throw new TillerError('ENGINE_UNREACHABLE', `${connection.address} does not answer`, {
      hint: 'Check TEMPORAL_ADDRESS, or unset it: Tiller then runs a server of its own.',
      cause: error,
    });
  }
  return `the server at ${connection.address}, namespace ${namespace}`;
}

/** What is in the engine's database file. Errors: ENGINE_DATABASE_CORRUPT. */
export async function engineFileState(env: NodeJS.ProcessEnv): Promise<string> {
  const { engine: file } = homePaths(tillerHome(env));
  const stamp = await readStamp(file);
  if (!existsSync(file) || stamp?.state === 'new') return 'none yet: the first start makes it';
  await checkDatabase(file);
  return `${file}, of server ${stamp?.server ?? 'an unknown version'}`;
}
