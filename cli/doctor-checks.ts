/** What Tiller needs, each looked at by itself: a sentence if it is there, an error that says how to mend it. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { openRecord } from '../db/connection.ts';
import { homePaths, tillerHome } from '../db/home.ts';
import { migrate } from '../db/migrate.ts';
import { engineFileState, engineState } from '../engine/check.ts';
import { isListening } from '../engine/ports.ts';
import { findCompiler } from '../native/compiler.ts';
import { locateGgml } from '../native/ggml.ts';
import { TillerError } from '../recipes/errors.ts';
import { makeHome } from './context.ts';
import { bestOf, bf16Words, listDevices } from './devices.ts';
import { dashboardUrl } from './running.ts';

type Env = NodeJS.ProcessEnv;

export interface Check {
  name: string;
  /** What was found; throws what is wrong. */
  look: (env: Env) => Promise<string> | string;
}

const LEAST_FREE = 2e9;

export const checks: readonly Check[] = [
  { name: 'node', look: node },
  {
    name: 'processor',
    look: () => `${availableParallelism()} cores, ${gigabytes(totalmem())} of memory`,
  },
  { name: 'compiler', look: async (env) => (await findCompiler({ env })).version },
  { name: 'git', look: git },
  { name: 'ggml', look: async (env) => `release ${(await locateGgml({ env })).release}` },
  { name: 'devices', look: devices },
  { name: 'engine', look: engineState },
  { name: 'ports', look: ports },
  { name: 'home', look: home },
  { name: 'record', look: record },
  { name: 'engine.db', look: engineFileState },
  { name: 'disk', look: disk },
];

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

/** bin/tiller never starts an older one; a plain `node cli/tiller.ts` may. */
function node(): string {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const old = major < 22 || (major === 22 && minor < 18) || (major === 23 && minor < 6);
  if (!old) return `${process.version} (${process.execPath})`;
  throw new TillerError('USAGE', `Node ${process.version} is too old`, {
    hint: 'Start Tiller with `npx tiller`, which brings a newer one.',
  });
}

async function git(env: Env): Promise<string> {
  const options = { env, extendEnv: false, stdin: 'ignore', reject: false } as const;
  const { failed, stdout } = await execa('git', ['--version'], options);
  if (!failed) return stdout;
  throw new TillerError('NATIVE_NO_GIT', 'git is not on PATH', {
    hint: 'Install it with the system’s package manager, such as `apt install git`.',
  });
}

/** Compiles the trainer if that has not been done: this is the check of the whole tool chain. */
async function devices(env: Env): Promise<string> {
  const found = await listDevices(env, (line) => process.stderr.write(`${line}\n`));
  const each = found.map(({ name, description }) => `${name} (${description})`).join(', ');
  return `${each}; device: auto is ${bestOf(found).kind}${bf16Words(found)}`;
}

/** The dashboard takes another port where its usual one is taken, so that this is only told. */
async function ports(env: Env): Promise<string> {
  const port = 7420;
  if (!(await isListening(port))) return `${port} is free for the dashboard`;
  const { record } = homePaths(tillerHome(env));
  const db = existsSync(record) ? openRecord(record, { readonly: true }) : undefined;
  try {
    const url = db === undefined ? undefined : dashboardUrl(db);
    return url === undefined
      ? `${port} is taken by another program: the dashboard will take another port`
      : `the dashboard of this home is at ${url}`;
  } finally {
    db?.close();
  }
}

async function home(env: Env): Promise<string> {
  const folder = tillerHome(env);
  await makeHome(folder);
  const file = join(folder, `.doctor-${randomUUID()}`);
  try {
    await writeFile(file, '');
    await rm(file);
  } catch (error) {
    throw new TillerError('HOME_UNWRITABLE', `Nothing can be written into ${folder}`, {
      hint: 'Mend its permissions, or name another folder in TILLER_HOME or --home.',
      cause: error,
    });
  }
  return folder;
}

function record(env: Env): string {
  const { record: file } = homePaths(tillerHome(env));
  if (!existsSync(file)) return 'none yet: the first command makes it';
  const { to, backup } = migrate(file);
  return `${file}, version ${to}${backup === undefined ? '' : `, migrated (before: ${backup})`}`;
}

async function disk(env: Env): Promise<string> {
  let folder = tillerHome(env);
  while (!existsSync(folder)) folder = dirname(folder); // where the home would be made
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= LEAST_FREE) return `${gigabytes(free)} free for ${folder}`;
  throw new TillerError('DISK_FULL', `Only ${gigabytes(free)} are free for ${folder}`, {
    hint: `Make room: checkpoints of a few runs need ${gigabytes(LEAST_FREE)}.`,
  });
}
