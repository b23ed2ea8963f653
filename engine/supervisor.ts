import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Db, openRecord } from '../db/connection.ts';
import { appendEvent } from '../db/events.ts';
import { cacheHome, homePaths } from '../db/home.ts';
import { createLog } from '../db/log.ts';
import { migrate } from '../db/migrate.ts';
import { claimSupervisor, removeProcess, writeProcess } from '../db/processes.ts';
import { TillerError } from '../recipes/errors.ts';
import { startChild } from './child.ts';
import { type BinaryEngine, findEngine } from './find.ts';
import { keep, type Keeper } from './keeper.ts';
import { putRight } from './leftovers.ts';
import { rotate } from './logs.ts';
import { choosePort, givenOrFree, portOf } from './ports.ts';
import { signalGroup, startEngine } from './start.ts';
import { stopInOrder } from './stop.ts';
import type { Role, Up, UpOptions } from './up.ts';

const room = import.meta.dirname;
const ourPrograms = {
  worker: join(room, 'worker-main.ts'),
  dashboard: join(room, '..', 'dashboards', 'server.ts'),
};
const DASHBOARD_PORT = 7420;
const UI_PORT = 8233;
/** Long: a trainer on a slow disk writes many gigabytes. */
const SAVE_WITHIN_MS = 15 * 60 * 1000;
const ROTATE_MS = 10_000;

/** Errors that no second try mends. */
const finalCodes = new Set(['PORT_IN_USE', 'ENGINE_DATABASE_CORRUPT', 'ENGINE_VERSION']);
const isFinal = (error: unknown): boolean =>
  error instanceof TillerError && finalCodes.has(error.code);

/**
 * Starts dashboard, engine and worker and keeps them alive, each a process of its own. Settles before
 * any of them runs, so that it can be stopped from then on. Only one `up` runs on a home.
 * Errors: ALREADY_UP, RECORD_NEWER, RECORD_CORRUPT.
 */
export async function superviseUp(options: UpOptions): Promise<Up> {
  const paths = homePaths(options.home);
  await mkdir(paths.logs, { recursive: true });
  migrate(paths.record);
  const db = openRecord(paths.record);
  try {
    claimSupervisor(db);
  } catch (error) {
    db.close();
    throw error;
  }
  return new Supervisor(db, options).start();
}

class Supervisor {
  readonly #db: Db;
  readonly #options: UpOptions;
  readonly #paths: ReturnType<typeof homePaths>;
  readonly #log: Logger;
  /** What the children are given. */
  readonly #env: NodeJS.ProcessEnv;
  readonly #keepers: Partial<Record<Role, Keeper>> = {};
  readonly #stopping = new AbortController();
  readonly #done = Promise.withResolvers<void>();
  #fault: unknown;
  #starting: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  #rotating: NodeJS.Timeout | undefined;

  constructor(db: Db, options: UpOptions) {
    this.#db = db;
    this.#options = options;
    this.#paths = homePaths(options.home);
    const file = this.#logFile('supervisor');
    rotate(file);
    this.#log = createLog('supervisor', { file });
    const { env = process.env } = options;
    this.#env = {
      ...env,
      TILLER_HOME: options.home,
      // Without it each start compiles the same modules anew: a third of a worker's start.
      NODE_COMPILE_CACHE: env['NODE_COMPILE_CACHE'] ?? join(cacheHome(env), 'node'),
    };
  }

  start(): Up {
    const prepared = this.#prepare();
    const dashboard = prepared.then((port) => this.#serve(port));
    const engine = prepared.then(() => this.#bringUp());
    this.#starting = Promise.allSettled([dashboard, engine]);
    this.#rotating = setInterval(() => this.#rotateLogs(), ROTATE_MS);
    return {
      dashboard: this.#orStop(dashboard),
      ready: this.#orStop(engine),
      done: this.#done.promise,
      stop: () => this.stop(),
      force: () => this.#force(),
    };
  }

  #orStop<Result>(start: Promise<Result>): Promise<Result> {
    const started = start.catch(async (error: unknown) => {
      this.#fault ??= error; // the other then only fails because all is stopped
      await this.stop();
      throw this.#fault;
    });
    started.catch(() => {}); // whoever awaits it is told
    return started;
  }

  /** @returns the dashboard's port, where one is given: another is not taken then */
  async #prepare(): Promise<number | undefined> {
    const { home, ports = {} } = this.#options;
    for (const what of await putRight(this.#db, home)) this.#note('leftover', what);
    const given = ports.dashboard ?? portOf(this.#env);
    const port = await givenOrFree(given, DASHBOARD_PORT, 'the dashboard');
    this.#env['TILLER_PORT'] = String(port);
    return given === 0 ? undefined : given;
  }

  async #serve(given: number | undefined): Promise<string> {
    await this.#keepChild('dashboard', async () => {
      // It was free a moment ago: two homes may have been brought up at once.
      const last = Number(this.#env['TILLER_PORT']);
      if (given === undefined) this.#env['TILLER_PORT'] = String(await choosePort(last));
    }).ready;
    return `127.0.0.1:${this.#env['TILLER_PORT']}`;
  }

  async #bringUp(): Promise<{ engine: string; ui?: string }> {
    const { env = process.env, progress } = this.#options;
    const { signal } = this.#stopping;
    const found = await findEngine({
      env,
      signal,
      databaseFile: this.#paths.engine,
      log: (line) => this.#say(line),
      ...(progress && { progress }),
    });
    if (found.kind === 'binary') return this.#bringUpOwn(found);
    const engine = found.connection.address;
    this.#env['TILLER_ENGINE_ADDRESS'] = engine;
    this.#env['TILLER_ENGINE_NAMESPACE'] = found.namespace;
    await this.#keepChild('worker').ready;
    return { engine };
  }

  async #bringUpOwn(found: BinaryEngine): Promise<{ engine: string; ui?: string }> {
    const { ports = {}, ui } = this.#options;
    const port = await givenOrFree(ports.engine, undefined, 'the engine');
    const uiPort =
      ui === true ? await givenOrFree(ports.ui, UI_PORT, "Temporal's web page") : undefined;
    const engine = `127.0.0.1:${port}`;
    this.#env['TILLER_ENGINE_ADDRESS'] = engine;
    this.#env['TILLER_ENGINE_NAMESPACE'] = 'default';
    const keeper = this.#keepEngine(found, port, uiPort);
    // At once: the worker takes as long to load as the engine to open its database, and waits for it.
    await Promise.all([keeper.ready, this.#keepChild('worker').ready]);
    return { engine, ...(uiPort !== undefined && { ui: `127.0.0.1:${uiPort}` }) };
  }

  #keepEngine({ path, version }: BinaryEngine, port: number, uiPort?: number): Keeper {
    const logFile = this.#logFile('engine');
    const address = `127.0.0.1:${port}`;
    return this.#keep('engine', async (restarts, signal) => {
      let row: { pid: number; process_start: string; address: string; restarts: number };
      const engine = await startEngine({
        binary: path,
        version,
        databaseFile: this.#paths.engine,
        port,
        logFile,
        signal,
        env: this.#env,
        ...(uiPort !== undefined && { uiPort }),
        onSpawn: (pid, process_start) => {
          row = { pid, process_start, address, restarts };
          writeProcess(this.#db, 'engine', { ...row, state: 'starting' });
        },
      });
      writeProcess(this.#db, 'engine', { ...row!, state: 'healthy' });
      return engine;
    });
  }

  /** @param prepare is done before each start */
  #keepChild(role: 'worker' | 'dashboard', prepare?: () => Promise<void>): Keeper {
    const program = (this.#options.programs ?? ourPrograms)[role];
    const logFile = this.#logFile(role);
    return this.#keep(role, async (restarts, signal) => {
      await prepare?.();
      return startChild(this.#db, { role, program, env: this.#env, logFile, restarts, signal });
    });
  }

  #keep(role: Role, launch: Parameters<typeof keep>[0]['launch']): Keeper {
    this.#stopping.signal.throwIfAborted(); // what is kept from now on, nobody would stop
    const keeper = keep({
      launch,
      isFinal,
      patience: this.#options.patience,
      onDown: (why, delay) => {
        const when = delay === 0 ? 'at once' : `in ${delay / 1000} s`;
        this.#note('process', `the ${role} is down: ${why}; starting it again ${when}`);
      },
    });
    this.#keepers[role] = keeper;
    return keeper;
  }

  /** Never twice: who asks again waits for the same end. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    const { worker, dashboard, engine } = this.#keepers;
    const { saveWithin = SAVE_WITHIN_MS } = this.#options;
    const say = (line: string) => this.#say(line);
    await stopInOrder({ db: this.#db, worker, dashboard, engine, say, saveWithin });
    await this.#starting;
    clearInterval(this.#rotating);
    for (const role of ['worker', 'dashboard', 'engine', 'supervisor'] as const) {
      this.#tryToRecord(() => removeProcess(this.#db, role));
    }
    this.#log.info('stopped');
    this.#db.close();
    this.#done.resolve();
  }

  #force(): void {
    for (const keeper of Object.values(this.#keepers)) {
      const pid = keeper.pid();
      if (pid !== undefined) signalGroup(pid, 'SIGKILL');
    }
    void this.stop();
  }

  #rotateLogs(): void {
    for (const role of ['engine', 'worker', 'dashboard']) rotate(this.#logFile(role));
  }

  readonly #logFile = (role: string): string => join(this.#paths.logs, `${role}.log`);

  #say(line: string): void {
    this.#log.info(line);
    this.#options.say?.(line);
  }

  /** What a person may look for later is an event too. */
  #note(kind: 'process' | 'leftover', line: string): void {
    this.#say(line);
    this.#tryToRecord(() => appendEvent(this.#db, { kind, message: line }));
  }

  /** A full disk must not end whoever keeps the rest alive: what can't be recorded is in the log. */
  #tryToRecord(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#log.error({ err: error }, 'not recorded');
    }
  }
}
