import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa, ExecaError } from 'execa';
import { TillerError } from '../recipes/errors.ts';
import { PINNED } from './version.ts';

export interface BuildProgress {
  phase: 'modules' | 'packages';
  done: number;
  /** About how many there will be. */
  total: number;
}

export interface BuildOptions {
  env?: NodeJS.ProcessEnv | undefined;
  signal?: AbortSignal | undefined;
  log?: ((line: string) => void) | undefined;
  progress?: ((progress: BuildProgress) => void) | undefined;
}

const MODULE = `github.com/temporalio/cli/cmd/temporal@v${PINNED.cli}`;
const NEEDS_GO = [1, 25] as const;
/** Modules and packages of v1.5.1, as `go install -v` lists them; one more or less is no harm. */
const MODULES = 160;
const PACKAGES = 1297;
const NEEDS_BYTES = 4e9;

/**
 * Builds the pinned Temporal command line from the Go module proxy into a folder, which also holds
 * Go's caches: a build that was killed goes on from there, and the folder can then be removed whole.
 * Errors: ENGINE_NO_GO, ENGINE_BUILD_FAILED.
 */
export async function buildEngine(folder: string, options: BuildOptions = {}): Promise<string> {
  const { env = process.env, signal, log } = options;
  const toolchain = await checkGo(env, signal);
  await mkdir(folder, { recursive: true });
  await checkSpace(folder);
  log?.(`building the engine ${PINNED.cli} from its Go module (a few minutes, once)`);
  const go = execa('go', ['install', '-v', ...flags(), MODULE], {
    cwd: folder, // away from any go.mod
    env: buildEnvironment(env, folder, toolchain),
    extendEnv: false,
    stdin: 'ignore',
    stdout: 'ignore',
    buffer: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  const lines: string[] = [];
  try {
    await follow(go.iterable({ from: 'stderr' }), lines, options);
    await go;
  } catch (error) {
    if (!(error instanceof ExecaError) || error.isCanceled) throw error;
    throw await buildFailure(error, lines, folder);
  }
  return join(folder, 'bin', process.platform === 'win32' ? 'temporal.exe' : 'temporal');
}

/** Without symbols and DWARF: a third less to compile and write, and nobody debugs this binary. */
const flags = (): string[] => [
  '-gcflags=all=-dwarf=false',
  `-ldflags=-s -w -X github.com/temporalio/cli/temporalcli.Version=${PINNED.cli}`,
];

/** What of a person's Go settings stays: the proxy and its checks. What is ours: the rest. */
function buildEnvironment(
  env: NodeJS.ProcessEnv,
  folder: string,
  toolchain: string | undefined,
): NodeJS.ProcessEnv {
  const { GOOS: _os, GOARCH: _arch, GOMODCACHE: _cache, GOEXPERIMENT: _try, ...rest } = env;
  return {
    ...rest,
    GOPATH: join(folder, 'path'),
    GOMODCACHE: join(folder, 'path', 'pkg', 'mod'),
    GOCACHE: join(folder, 'cache'),
    GOBIN: join(folder, 'bin'),
    GOFLAGS: '-trimpath -modcacherw',
    GOWORK: 'off',
    GO111MODULE: 'on',
    CGO_ENABLED: '0',
    GOGC: '400', // the compiler's own memory: a little more of it for a quicker build
    ...(toolchain === undefined ? {} : { GOTOOLCHAIN: toolchain }),
  };
}

/** Go is there and new enough, or new enough to fetch the Go that is: then the GOTOOLCHAIN for it. */
export async function checkGo(
  env: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const hint = `Install Go ${NEEDS_GO.join('.')} or newer, or put Temporal's command line on PATH.`;
  let said: string;
  try {
    const cancel = signal === undefined ? {} : { cancelSignal: signal };
    const options = { env, extendEnv: false, stdin: 'ignore', ...cancel } as const;
    said = (await execa('go', ['env', 'GOVERSION'], { ...options, cwd: '/' })).stdout;
  } catch (error) {
    if (!(error instanceof ExecaError) || error.isCanceled) throw error;
    const why =
      error.code === 'ENOENT' ? 'is not installed' : `does not run: ${error.shortMessage}`;
    throw new TillerError('ENGINE_NO_GO', `The engine can't be built: Go ${why}`, { hint });
  }
  const [, major = '0', minor = '0'] = /^go(\d+)\.(\d+)/.exec(said.trim()) ?? [];
  const newer = (m: number): boolean => Number(major) === NEEDS_GO[0] && Number(minor) >= m;
  if (newer(NEEDS_GO[1]) || Number(major) > NEEDS_GO[0]) return undefined;
  if (newer(21)) return 'auto';
  throw new TillerError('ENGINE_NO_GO', `The engine can't be built: ${said.trim()} is too old`, {
    hint,
  });
}

async function checkSpace(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= NEEDS_BYTES) return;
  const free = ((bavail * bsize) / 1e9).toFixed(1);
  const needs = NEEDS_BYTES / 1e9;
  throw new TillerError(
    'DISK_FULL',
    `The engine's build needs ${needs} GB, ${folder} has ${free}`,
    {
      hint: 'Free some space, or set XDG_CACHE_HOME to a folder on another disk.',
    },
  );
}

/** Reports what comes; the lines that are no such report, those of an error, go to `others`. */
async function follow(
  lines: AsyncIterable<string>,
  others: string[],
  { progress }: BuildOptions,
): Promise<void> {
  const counts = { modules: 0, packages: 0 };
  for await (const line of lines) {
    const phase = phaseOf(line);
    if (phase === undefined) {
      others.push(line);
      continue;
    }
    counts[phase] += 1;
    const total = phase === 'modules' ? MODULES : PACKAGES;
    progress?.({ phase, done: counts[phase], total: Math.max(total, counts[phase]) });
  }
}

function phaseOf(line: string): BuildProgress['phase'] | undefined {
  if (line.startsWith('go: downloading ')) return 'modules';
  return /^[\w.~-]+(\/[\w.~-]+)*$/.test(line) ? 'packages' : undefined;
}

async function buildFailure(
  error: ExecaError,
  lines: string[],
  folder: string,
): Promise<TillerError> {
  const log = join(dirname(folder), 'build.log');
  await writeFile(log, `${error.escapedCommand}\n\n${lines.join('\n')}\n`);
  const last = lines.at(-1)?.trim() ?? error.shortMessage;
  return new TillerError('ENGINE_BUILD_FAILED', `The build of the engine failed: ${last}`, {
    hint: `Go's whole output is in ${log}. A build that is started again goes on where it was.`,
    cause: error,
  });
}

/** Go's caches and all: a few gigabytes that nobody needs once the binary is there. */
export const removeBuild = (folder: string): Promise<void> =>
  rm(folder, { recursive: true, force: true });
