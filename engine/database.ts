import Database from 'better-sqlite3';
import { existsSync } from 'node:fs';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { TillerError } from '../recipes/errors.ts';
import { type EngineVersion, sameSchema } from './version.ts';

/**
 * Beside the engine's database file: which Temporal wrote it. Temporal's development server doesn't
 * migrate its schema, so another minor version of the server must not open the file.
 */
const stampSchema = z.object({
  cli: z.string(),
  server: z.string(),
  /** `new` until the server was healthy once: a file that was killed while being made holds nothing. */
  state: z.enum(['new', 'ready']),
});
export type Stamp = z.infer<typeof stampSchema>;

const stampFile = (databaseFile: string): string => `${databaseFile}.version`;

export async function readStamp(databaseFile: string): Promise<Stamp | undefined> {
  try {
    return stampSchema.parse(JSON.parse(await readFile(stampFile(databaseFile), 'utf8')));
  } catch {
    return undefined; // none, or half of one: treated alike
  }
}

async function writeStamp(databaseFile: string, stamp: Stamp): Promise<void> {
  const file = stampFile(databaseFile);
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(stamp)}\n`);
  await rename(temporary, file);
}

export const databaseReady = (databaseFile: string, { cli, server }: EngineVersion) =>
  writeStamp(databaseFile, { cli, server, state: 'ready' });

/**
 * Makes a database file fit for a server of this version to open: checks one that it wrote, removes
 * one that was never finished, refuses one of another version.
 * Errors: ENGINE_DATABASE_CORRUPT, ENGINE_VERSION.
 */
export async function prepareDatabase(databaseFile: string, version: EngineVersion): Promise<void> {
  const stamp = await readStamp(databaseFile);
  if (stamp?.state === 'new') {
    await removeDatabase(databaseFile);
  } else if (existsSync(databaseFile)) {
    if (stamp !== undefined && !sameSchema(stamp.server, version.server)) {
      throw versionError(databaseFile, stamp.server, `this is ${version.server}`);
    }
    await checkDatabase(databaseFile);
  }
  const { cli, server } = version;
  const state = existsSync(databaseFile) ? 'ready' : 'new';
  await writeStamp(databaseFile, { cli, server, state });
}

export const versionError = (databaseFile: string, server: string, why: string): TillerError =>
  new TillerError(
    'ENGINE_VERSION',
    `The engine's database ${databaseFile} was written by server ${server}: ${why}`,
    {
      hint: `Put a Temporal with server ${server} on PATH, or move the file away: the runs are started again from the record, at their last checkpoints.`,
    },
  );

async function removeDatabase(file: string): Promise<void> {
  for (const end of ['', '-journal', '-wal', '-shm']) await rm(file + end, { force: true });
}

/** Errors: ENGINE_DATABASE_CORRUPT. Reads the whole file where it is small, else its beginning. */
export async function checkDatabase(databaseFile: string): Promise<void> {
  const why = (await headerFault(databaseFile)) ?? contentFault(databaseFile);
  if (why === undefined) return;
  throw new TillerError(
    'ENGINE_DATABASE_CORRUPT',
    `The engine's database ${databaseFile} cannot be read: ${why}`,
    {
      hint: `Move it away: the runs are started again from the record, at their last checkpoints.`,
    },
  );
}

async function headerFault(databaseFile: string): Promise<string | undefined> {
  const handle = await open(databaseFile, 'r');
  try {
    const header = Buffer.alloc(16);
    const { bytesRead } = await handle.read(header, 0, 16, 0);
    if (bytesRead === 0) return 'it is empty';
    return header.toString('latin1') === 'SQLite format 3\0' ? undefined : 'it is no SQLite file';
  } finally {
    await handle.close();
  }
}

const WHOLE_CHECK_BYTES = 64 * 2 ** 20;

function contentFault(databaseFile: string): string | undefined {
  let db: Database.Database | undefined;
  try {
    db = new Database(databaseFile, { timeout: 2000 });
    const namespaces = db.prepare('SELECT count(*) AS n FROM namespaces').get() as { n: number };
    if (namespaces.n === 0) return 'it holds no namespace';
    const pages = db.pragma('page_count', { simple: true }) as number;
    const bytes = pages * (db.pragma('page_size', { simple: true }) as number);
    if (bytes > WHOLE_CHECK_BYTES) return undefined;
    const found = db.pragma('quick_check(1)', { simple: true }) as string;
    return found === 'ok' ? undefined : found.replaceAll(/\s+/g, ' ');
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    if (!String(code).startsWith('SQLITE_') || code === 'SQLITE_BUSY') throw error;
    return message;
  } finally {
    db?.close();
  }
}
