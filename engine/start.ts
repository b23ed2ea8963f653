import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processStart } from '../db/processes.ts';
import { TillerError } from '../recipes/errors.ts';
import { checkDatabase, databaseReady, prepareDatabase, readStamp } from './database.ts';
import { isServing, keepHistory } from './health.ts';
import { logEnd, tail, withLog } from './logs.ts';
import { isListening, requirePort } from './ports.ts';
import { type EngineVersion, readVersion } from './version.ts';

export interface EngineOptions {
  binary: string;
  /** Asked of the binary where it isn't given. */
  version?: EngineVersion;
  databaseFile: string;
  port: number;
  /** Where Temporal's own web page listens; without it there is none. */
  uiPort?: number;
  logFile: string;
  logLevel?: 'debug' | 'info' | 'warn' | 'error';
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  /** How long it may take to become healthy, in ms. */
  within?: number;
  /** Told at once, so that the process can be written down before it is healthy. */
  onSpawn?: (pid: number, start: string) => void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface RunningEngine {
  pid: number;
  /** With the pid: which process it is, even when the pid is used again. */
  start: string;
  /** host:port of its gRPC. */
  address: string;
  uiAddress?: string;
  exited: Promise<Exit>;
  /** Whether it says, in so many ms, that it serves. */
  answers(withinMs: number): Promise<boolean>;
  /** SIGTERM, and SIGKILL to the whole group when that doesn't help in time. */
  stop(options?: { within?: number }): Promise<Exit>;
}

/**
 * Starts Temporal's server on a database file and waits until it serves. It is a process group of
 * its own and writes its own log, so that it neither hears our Ctrl-C nor ends with us.
 * Errors: PORT_IN_USE, ENGINE_DATABASE_CORRUPT, ENGINE_VERSION, ENGINE_START_FAILED.
 */
export async function startEngine(options: EngineOptions): Promise<RunningEngine> {
  const { binary, databaseFile, port, uiPort, logFile, env = process.env, signal } = options;
  signal?.throwIfAborted();
  const version = options.version ?? (await readVersion(binary, { env }));
  await requirePort(port, 'the engine');
  if (uiPort !== undefined) await requirePort(uiPort, "the engine's web page");
  await mkdir(dirname(databaseFile), { recursive: true });
  await prepareDatabase(databaseFile, version);
  const logFrom = logEnd(logFile);
  const child = withLog(logFile, (fd) =>
    spawn(binary, serverArguments(options), {
      detached: true,
      stdio: ['ignore', fd, fd],
      env: withoutTemporal(env),
    }),
  );
  const exited = exitOf(child);
  const address = `127.0.0.1:${port}`;
  const answers = (within: number) => isServing(address, within);
  const engine = { ...identify(child), address, exited, answers };
  options.onSpawn?.(engine.pid, engine.start);
  const stop = ({ within = 10_000 } = {}) => endGroup(engine, within);
  try {
    await untilServing(engine, port, options);
    await keepHistory(engine.address);
    await databaseReady(databaseFile, version);
  } catch (error) {
    await stop({ within: 0 });
    if (error instanceof TillerError || signal?.aborted === true) throw error;
    throw await startFailure(error, options, logFrom);
  }
  return { ...engine, stop, ...(uiPort !== undefined && { uiAddress: `127.0.0.1:${uiPort}` }) };
}

function serverArguments({ databaseFile, port, uiPort, logLevel = 'warn' }: EngineOptions) {
  const page = uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort)];
  // As durable as SQLite's default, with one wait for the disk less a transaction.
  const pragmas = ['journal_mode=WAL', 'synchronous=FULL'].flatMap((p) => ['--sqlite-pragma', p]);
  const logging = ['--log-level', logLevel, '--log-format', 'json', '--color', 'never'];
  const place = ['--db-filename', databaseFile, '--port', String(port)];
  return ['server', 'start-dev', ...place, ...page, ...pragmas, ...logging];
}

/** The variables that name an outside server mean nothing to a server. */
const withoutTemporal = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([key]) => !key.startsWith('TEMPORAL_')));

export function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((done) => {
    child.once('exit', (code, signal) => done({ code, signal }));
    child.once('error', () => done({ code: 127, signal: null }));
  });
}

/** Errors: ENGINE_START_FAILED. */
function identify({ pid, spawnfile }: ChildProcess): { pid: number; start: string } {
  if (pid === undefined) {
    throw new TillerError('ENGINE_START_FAILED', `${spawnfile} cannot be started`, {
      hint: 'See `tiller doctor`.',
    });
  }
  return { pid, start: processStart(pid) ?? '' }; // none: it has ended already
}

async function untilServing(
  { address, exited }: Pick<RunningEngine, 'address' | 'exited'>,
  port: number,
  { signal, within = 60_000 }: EngineOptions,
): Promise<void> {
  const ended = new AbortController();
  void exited.then(({ code, signal }) => ended.abort(new Error(`it ended with ${signal ?? code}`)));
  const deadline = Date.now() + within;
  while (Date.now() < deadline) {
    signal?.throwIfAborted();
    ended.signal.throwIfAborted();
    // gRPC waits a second after a refused connection: so first see that there is a listener.
    if ((await isListening(port)) && (await isServing(address))) return;
    await sleep(30);
  }
  throw new Error(`it was not healthy after ${within / 1000} s`);
}

/** SIGTERM to the group that a child leads, and SIGKILL if it is there after `within` ms. */
export async function endGroup(
  { pid, exited }: Pick<RunningEngine, 'pid' | 'exited'>,
  within: number,
): Promise<Exit> {
  const kill = (signal: NodeJS.Signals) => () => signalGroup(pid, signal);
  if (within > 0) kill('SIGTERM')();
  const timer = setTimeout(kill('SIGKILL'), within);
  const exit = await exited;
  clearTimeout(timer);
  return exit;
}

/** To a group that a child leads. */
export const signalGroup = (pid: number, signal: NodeJS.Signals): void => sendSignal(-pid, signal);

/** What is gone already is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function startFailure(
  error: unknown,
  { databaseFile, logFile, port }: EngineOptions,
  logFrom: number,
): Promise<TillerError> {
  const said = tail(logFile, logFrom).join(' ');
  if (/address already in use|can't set .*port/i.test(said)) {
    return new TillerError('PORT_IN_USE', `Another program listens on port ${port}`, {
      hint: 'Stop it, or give the engine another port.',
    });
  }
  // A file that was never finished is made anew at the next start: no fault of it matters.
  if ((await readStamp(databaseFile))?.state === 'ready') await checkDatabase(databaseFile);
  const why = error instanceof Error ? error.message : String(error);
  return new TillerError('ENGINE_START_FAILED', `The engine did not start: ${why}`, {
    hint: `Its log is ${logFile}${said === '' ? '.' : `, and ends with: ${said.slice(-300)}`}`,
    cause: error,
  });
}
