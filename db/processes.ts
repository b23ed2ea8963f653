/** Which processes are alive, and the rows of those that `tiller up` keeps. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { eq } from './drizzle.ts';
import { TillerError } from '../recipes/errors.ts';
import { immediate, type Db } from './connection.ts';
import { process as table } from './schema.ts';

export type ProcessRow = typeof table.$inferSelect;
export type Role = 'supervisor' | 'engine' | 'worker' | 'dashboard';

/**
 * When a process started, as a word to compare: with its pid it names one process for ever. Null if
 * there is none, or only what its parent has not collected yet.
 */
export function processStart(pid: number): string | null {
  return process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid);
}

export const isAlive = (pid: number, start: string): boolean =>
  start !== '' && processStart(pid) === start;

let boot: string | undefined;

function startFromProc(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
  // The second field is the program's name in brackets, which may itself hold blanks and brackets.
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z' || state === 'X') return null;
  const ticks = rest[18];
  // Ticks count from the boot: another boot could repeat them.
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return ticks === undefined ? null : `${boot}:${ticks}`;
}

const isGone = (error: unknown): boolean =>
  ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');

function startFromPs(pid: number): string | null {
  let line: string;
  try {
    line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch (error) {
    // ps ends with 1 when there is no such process.
    if ((error as { status?: number | null }).status === 1) return null;
    throw error;
  }
  const [state = '', ...start] = line.split(/\s+/);
  return line === '' || state.startsWith('Z') ? null : start.join(' ');
}

/** Makes this process the one that keeps the home. Errors: ALREADY_UP. */
export function claimSupervisor(db: Db, pid: number = process.pid): void {
  immediate(db, () => {
    const rows = readProcesses(db);
    const held = rows.find(({ role }) => role === 'supervisor');
    if (held !== undefined && held.pid !== pid && isAlive(held.pid, held.process_start)) {
      const address = rows.find(({ role }) => role === 'dashboard')?.address;
      const where = address ? `, http://${address}` : '';
      throw new TillerError(
        'ALREADY_UP',
        `Tiller already runs on this home (process ${held.pid}${where})`,
        {
          hint: 'Use it as it is, stop it with `tiller down`, or name another home in TILLER_HOME.',
        },
      );
    }
    writeProcess(db, 'supervisor', {
      pid,
      process_start: processStart(pid) ?? '',
      state: 'healthy',
    });
  });
}

/** What is left out stays as it was: a process says of itself only where it listens and that it is healthy. */
export function writeProcess(
  db: Db,
  role: Role,
  row: Pick<ProcessRow, 'pid' | 'process_start' | 'state'> &
    Partial<Pick<ProcessRow, 'address' | 'restarts'>>,
): void {
  const since = Date.now();
  db.orm
    .insert(table)
    .values({ role, ...row, since })
    .onConflictDoUpdate({ target: table.role, set: { ...row, since } })
    .run();
}

export const readProcesses = (db: Db): ProcessRow[] => db.orm.select().from(table).all();

export function removeProcess(db: Db, role: Role): void {
  db.orm.delete(table).where(eq(table.role, role)).run();
}
