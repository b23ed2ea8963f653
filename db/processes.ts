/** Processes by pid and start time, so that a reused pid is never taken for one of ours. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { eq } from 'drizzle-orm';
import { TillerError } from '../recipes/errors.ts';
import { immediate, type Db } from './connection.ts';
import * as schema from './schema.ts';

export type Role = 'supervisor' | 'engine' | 'worker' | 'dashboard';
export type ProcessRow = typeof schema.process.$inferSelect;

let bootId: string | undefined;

/** When the process began, as an opaque text; null if there is none, or only a zombie of one. */
export function processStart(pid: number): string | null {
  if (process.platform !== 'linux') return startByPs(pid);
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
  // Behind the command's name, which may hold blanks and brackets: state is field 3, start field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 8);
  return `${bootId}-${fields[19]}`;
}

function startByPs(pid: number): string | null {
  try {
    const line = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return line === '' || line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '');
  } catch (error) {
    // ps ends with 1 when there is no such process.
    if ((error as { status?: unknown }).status === 1) return null;
    throw error;
  }
}

export const isAlive = (pid: number, start: string): boolean => processStart(pid) === start;

export const readProcesses = (db: Db): ProcessRow[] => db.orm.select().from(schema.process).all();

export type ProcessFields = Pick<ProcessRow, 'pid' | 'process_start' | 'state'> &
  Partial<Pick<ProcessRow, 'address' | 'restarts'>>;

/** Writes or replaces the row of a role. */
export function writeProcess(db: Db, role: Role, fields: ProcessFields): void {
  const row = { ...fields, since: Date.now() };
  db.orm
    .insert(schema.process)
    .values({ role, ...row })
    .onConflictDoUpdate({ target: schema.process.role, set: row })
    .run();
}

export function removeProcess(db: Db, role: Role): void {
  db.orm.delete(schema.process).where(eq(schema.process.role, role)).run();
}

/** Makes this process the supervisor of the home. Errors: ALREADY_UP. */
export function claimSupervisor(db: Db, pid: number = process.pid): void {
  immediate(db, () => {
    const rows = readProcesses(db);
    const first = rows.find(({ role }) => role === 'supervisor');
    if (first !== undefined && first.pid !== pid && isAlive(first.pid, first.process_start)) {
      const address = rows.find(({ role }) => role === 'dashboard')?.address;
      throw new TillerError(
        'ALREADY_UP',
        `Tiller already runs on this home (pid ${first.pid}${address ? `, http://${address}` : ''})`,
        {
          hint: 'Use that one, or give another home with TILLER_HOME.',
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
