import { afterEach, describe, expect, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRecord } from '../../db/connection.ts';
import { eventsAfter } from '../../db/events.ts';
import { homePaths } from '../../db/home.ts';
import { isAlive, type ProcessRow, readProcesses } from '../../db/processes.ts';
import { bringDown } from '../../engine/down.ts';
import { isServing } from '../../engine/health.ts';

/** A real `up` in a process of its own, with small children and, unless told, no engine. */
class UpProcess {
  readonly process: ChildProcess;
  readonly lines: Record<string, unknown>[] = [];
  readonly exited: Promise<number | null>;

  constructor(home: string, env: NodeJS.ProcessEnv) {
    const program = join(import.meta.dirname, '../fixtures/engine/up.ts');
    this.process = spawn(process.execPath, [program], {
      env: { ...process.env, TILLER_HOME: home, TEMPORAL_ADDRESS: '127.0.0.1:1', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.exited = new Promise((done) => this.process.once('exit', done));
    const lines = createInterface({ input: this.process.stdout! });
    lines.on('line', (line) => this.lines.push(JSON.parse(line) as Record<string, unknown>));
  }

  /** What it told under this name, once it has. */
  async told(name: string): Promise<unknown> {
    return until(() => this.lines.find((line) => name in line)?.[name], `${name} is told`);
  }

  get said(): string {
    return this.lines.map(({ said }) => said ?? '').join('\n');
  }
}

const homes: string[] = [];
const ups: UpProcess[] = [];

afterEach(async () => {
  for (const up of ups.splice(0)) {
    up.process.kill('SIGKILL');
    await up.exited;
  }
  for (const home of homes.splice(0)) {
    if (existsSync(homePaths(home).record)) {
      for (const { pid, process_start: start } of rows(home)) {
        if (isAlive(pid, start)) process.kill(pid, 'SIGKILL');
      }
    }
    await sleep(100); // children that noticed by themselves are on their way out
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }
});

function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'tiller-up-'));
  homes.push(home);
  return home;
}

function up(home: string, env: NodeJS.ProcessEnv = {}): UpProcess {
  const started = new UpProcess(home, env);
  ups.push(started);
  return started;
}

async function until<Value>(
  probe: () => Value | undefined | false | Promise<Value | undefined | false>,
  what: string,
): Promise<Value> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(20)) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
  }
  throw new Error(`waited in vain: ${what}`);
}

function withRecord<Result>(
  home: string,
  use: (db: ReturnType<typeof openRecord>) => Result,
): Result {
  const db = openRecord(homePaths(home).record, { readonly: true });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

const rows = (home: string): ProcessRow[] => withRecord(home, readProcesses);
const row = (home: string, role: string) => rows(home).find((row) => row.role === role);
const alive = ({ pid, process_start }: ProcessRow): boolean => isAlive(pid, process_start);
const notes = (home: string): string[] =>
  readFileSync(join(home, 'notes'), 'utf8').trim().split('\n');
const events = (home: string): string =>
  withRecord(home, (db) =>
    eventsAfter(db, 0)
      .map(({ message }) => message)
      .join('\n'),
  );

/** A process of this role that is healthy and another than this one. */
const successor = (home: string, role: string, pid: number) =>
  until(() => {
    const now = row(home, role);
    return now?.state === 'healthy' && now.pid !== pid && now;
  }, `another ${role}`);

describe('tiller up', () => {
  test.each(['worker', 'dashboard'])('starts a killed %s again at once', async (role) => {
    const home = newHome();
    await up(home).told('ready');
    const killed = row(home, role)!;
    process.kill(killed.pid, 'SIGKILL');
    const next = await successor(home, role, killed.pid);
    // A page that is open finds it again.
    expect(next).toMatchObject({ restarts: 1, address: killed.address });
    expect(events(home)).toContain(
      `the ${role} is down: it ended with SIGKILL; starting it again at once`,
    );
  });

  test('starts a killed engine again on the same port and leaves the worker alone', async () => {
    const home = newHome();
    const first = up(home, { TEMPORAL_ADDRESS: '' });
    const { engine: address } = (await first.told('ready')) as { engine: string };
    const [engine, worker] = [row(home, 'engine')!, row(home, 'worker')!];
    expect(engine.address).toBe(address);
    process.kill(engine.pid, 'SIGKILL');
    await successor(home, 'engine', engine.pid);
    expect(await isServing(address)).toBe(true);
    expect(row(home, 'worker')).toEqual(worker);
    first.process.kill('SIGTERM');
    expect(await first.exited).toBe(0);
  });

  test.each(['engine', 'worker', 'dashboard'])(
    'kills a %s that lives and does not answer, and starts another',
    async (role) => {
      const home = newHome();
      const first = up(home, { TEMPORAL_ADDRESS: '', TEST_IMPATIENT: '1' });
      await first.told('ready');
      const before = rows(home);
      const silent = row(home, role)!;
      process.kill(silent.pid, 'SIGSTOP');
      await successor(home, role, silent.pid);
      expect(alive(silent)).toBe(false); // so that it can't wake up beside its successor
      const others = ({ role: other }: ProcessRow) => other !== role;
      expect(rows(home).filter(others)).toEqual(before.filter(others));
      const line = `the ${role} is down: it did not answer for 3 s and was killed`;
      expect(first.said).toContain(line);
      expect(events(home)).toContain(line);
    },
  );

  test('is refused while another runs on the home, with the address of its dashboard', async () => {
    const home = newHome();
    const address = await up(home).told('dashboard');
    const second = up(home);
    expect(await second.told('failed')).toBe('ALREADY_UP');
    expect(await second.told('message')).toContain(address);
    expect(row(home, 'dashboard')).toMatchObject({ state: 'healthy' });
  });

  test('of two at once only one runs', async () => {
    const home = newHome();
    const both = [up(home), up(home)];
    await until(() => both.some(({ lines }) => lines.some((line) => 'ready' in line)), 'one is up');
    await until(
      () => both.some(({ lines }) => lines.some((line) => 'failed' in line)),
      'one is refused',
    );
    expect(notes(home).toSorted()).toEqual(['dashboard began', 'worker began']);
  });

  test('stops in order: the worker saves first, then dashboard and engine; nothing is left', async () => {
    const home = newHome();
    const first = up(home, { TEMPORAL_ADDRESS: '', TEST_SAVE_MS: '2500' });
    await first.told('ready');
    const before = rows(home);
    first.process.kill('SIGINT');
    await until(() => first.said.includes('waiting for the worker to end'), 'it says why it waits');
    expect(alive(before.find(({ role }) => role === 'engine')!)).toBe(true);
    expect(await first.exited).toBe(0);
    expect(notes(home).slice(-4)).toEqual([
      'worker asked',
      'worker ended',
      'dashboard asked',
      'dashboard ended',
    ]);
    expect(before.filter(alive)).toEqual([]);
    expect(rows(home)).toEqual([]);
  });

  test('stopped while it starts, it leaves nothing', async () => {
    const home = newHome();
    const first = up(home, { TEMPORAL_ADDRESS: '' });
    await until(() => existsSync(join(home, 'notes')), 'a child begins');
    const engine = await until(() => row(home, 'engine'), 'the engine starts');
    first.process.kill('SIGINT');
    expect(await first.exited).toBe(0);
    expect(first.said).toContain('stopping at a checkpoint');
    expect(alive(engine)).toBe(false);
    expect(rows(home)).toEqual([]);
  });

  test('a second Ctrl-C ends all at once, a second SIGTERM does not', async () => {
    const home = newHome();
    const first = up(home, { TEST_SAVE_MS: '60000' });
    await first.told('ready');
    const before = rows(home);
    first.process.kill('SIGINT');
    await until(() => notes(home).includes('worker asked'), 'the worker saves');
    first.process.kill('SIGTERM');
    await until(() => first.said.includes('waiting for the worker to end'), 'it goes on waiting');
    expect(first.said).not.toContain('ending all at once');
    first.process.kill('SIGINT');
    expect(await first.exited).toBe(0);
    expect(notes(home)).not.toContain('worker ended');
    expect(before.filter(alive)).toEqual([]);
  });

  test.each(['worker', 'dashboard'])(
    'tells when the %s never gets up, and leaves nothing',
    async (role) => {
      const home = newHome();
      const first = up(home, { [`TEST_${role.toUpperCase()}_FAILS`]: '1' });
      expect(await first.told('failed')).toBe('PROCESS_FAILED');
      expect(await first.told('message')).toContain('this child never gets up');
      expect(await first.exited).toBe(1);
      await until(() => rows(home).length === 0, 'its rows are gone');
    },
  );

  test('tells why the engine is not there, however soon', async () => {
    const first = up(newHome(), { TEMPORAL_ADDRESS: '', TILLER_TEMPORAL: '/nowhere' });
    expect(await first.told('failed')).toBe('ENGINE_NOT_FOUND');
  });

  test('a given port that is in use is named', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    const first = up(newHome(), { TILLER_PORT: String(port) });
    expect(await first.told('failed')).toBe('PORT_IN_USE');
    server.close();
  });

  test('a free port that another takes at the last moment is another then', async () => {
    const home = newHome();
    const taken = join(home, 'taken');
    const first = up(home, { TILLER_PORT: '0', TEST_PORT_TAKEN: taken });
    const wanted = () =>
      existsSync(join(home, 'notes')) && /wants (\d+)/.exec(notes(home).join())?.[1];
    const port = Number(await until(wanted, 'a port is wanted'));
    const server = createServer();
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    server.unref();
    writeFileSync(taken, '');
    const address = (await first.told('dashboard')) as string;
    expect(address).not.toBe(`127.0.0.1:${port}`);
    expect(row(home, 'dashboard')).toMatchObject({ state: 'healthy', address });
    server.close();
  });
});

describe('an up that was killed', () => {
  test('takes worker and dashboard with it', async () => {
    const home = newHome();
    const first = up(home);
    await first.told('ready');
    const before = rows(home);
    await sleep(500);
    expect(rows(home)).toEqual(before); // they stay while it lives
    first.process.kill('SIGKILL');
    await until(() => before.filter(alive).length === 0, 'all have left');
  });

  test('is put right by the next: its engine ended, its half files removed, each said', async () => {
    const home = newHome();
    const first = up(home, { TEMPORAL_ADDRESS: '' });
    await first.told('ready');
    const engine = row(home, 'engine')!;
    first.process.kill('SIGKILL');
    await first.exited;
    expect(alive(engine)).toBe(true);
    const half = [join(home, 'tiller.db.tmp'), join(home, 'artifacts', '0a', 'x.partial')];
    const old = join(home, 'runs', 'r', 'samples', 'old.tmp');
    const fresh = join(home, 'runs', 'r', 'samples', 'fresh.tmp'); // a living trainer's
    for (const file of [...half, old, fresh]) {
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, 'half');
    }
    utimesSync(old, new Date(0), new Date(0));

    const second = up(home, { TEMPORAL_ADDRESS: '' });
    await second.told('ready');
    expect(alive(engine)).toBe(false);
    expect([...half, old].filter((file) => existsSync(file))).toEqual([]);
    expect(existsSync(fresh)).toBe(true);
    for (const said of [second.said, events(home)]) {
      expect(said).toContain(
        `ended the engine of an earlier \`tiller up\` (process ${engine.pid})`,
      );
      expect(said).toContain(`removed a half-written file: ${half[0]}`);
    }
    second.process.kill('SIGTERM');
    expect(await second.exited).toBe(0);
  });

  test('is put right by down: its engine ended, and said', async () => {
    const home = newHome();
    const first = up(home, { TEMPORAL_ADDRESS: '' });
    await first.told('ready');
    const engine = row(home, 'engine')!;
    first.process.kill('SIGKILL');
    await first.exited;
    const said: string[] = [];
    const db = openRecord(homePaths(home).record);
    expect(await bringDown(db, home, (line) => said.push(line))).toBe(false);
    db.close();
    expect(alive(engine)).toBe(false);
    expect(said).toContain(`ended the engine of an earlier \`tiller up\` (process ${engine.pid})`);
    expect(rows(home)).toEqual([]);
  });

  test('an engine that was never written down is found by its file', async () => {
    const home = newHome();
    const first = up(home, { TEMPORAL_ADDRESS: '' });
    await first.told('ready');
    const engine = row(home, 'engine')!;
    first.process.kill('SIGKILL');
    await first.exited;
    const db = openRecord(homePaths(home).record);
    db.raw.exec(`DELETE FROM process WHERE role = 'engine'`);
    db.close();
    const second = up(home, { TEMPORAL_ADDRESS: '' });
    await second.told('ready');
    expect(alive(engine)).toBe(false);
    expect(second.said).toContain(`ended an engine that nobody kept (process ${engine.pid})`);
    second.process.kill('SIGTERM');
    expect(await second.exited).toBe(0);
  });
});
