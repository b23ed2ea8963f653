/** Who has a device, and who waits for it: by priority, then by who came first. */
import { eq } from './drizzle.ts';
import { immediate, prepared, type Db } from './connection.ts';
import { TERMINAL_STATES } from './runs.ts';
import { device as deviceTable } from './schema.ts';

/** A run in one of these does not use the device that it holds, and does not wait for one. */
const IDLE = [...TERMINAL_STATES, 'paused'].map((state) => `'${state}'`).join(', ');

/** A waiting run that has not asked for so long has nobody who works for it: it does not block others. */
const FORGOTTEN_MS = 15_000;
/** Noting every question would be a write each. */
const NOTED_MS = 3_000;

export interface Waiting {
  device: string;
  run: string;
  priority: number;
  since: number;
}

/**
 * Asks for a device; ask again until it is given. The run is in the queue from the first time on.
 * @returns whether the run has the device now
 */
export function claimDevice(db: Db, device: string, run: string, priority: number): boolean {
  return immediate(db, () => {
    const holder = holderOf(db, device);
    if (holder === run) {
      leaveQueue(db, run);
      return true;
    }
    enterQueue(db, { device, run, priority });
    if (holder !== undefined || firstWaiting(db, device) !== run) return false;
    const since = Date.now();
    db.orm
      .insert(deviceTable)
      .values({ name: device, holder: run, since })
      .onConflictDoUpdate({ target: deviceTable.name, set: { holder: run, since } })
      .run();
    leaveQueue(db, run);
    return true;
  });
}

/** Gives back what the run holds and leaves the queue. */
export function releaseDevice(db: Db, run: string): void {
  immediate(db, () => {
    db.orm
      .update(deviceTable)
      .set({ holder: null, since: null })
      .where(eq(deviceTable.holder, run))
      .run();
    leaveQueue(db, run);
  });
}

/** Undefined if nobody has it, or one that no longer uses it. */
const holderOf = (db: Db, device: string): string | undefined =>
  prepared<[string], { holder: string }>(
    db,
    `SELECT d.holder FROM device d JOIN run r ON r.id = d.holder
     WHERE d.name = ? AND r.state NOT IN (${IDLE})`,
  ).get(device)?.holder;

function enterQueue(db: Db, { device, run, priority }: Omit<Waiting, 'since'>): void {
  const now = Date.now();
  prepared(
    db,
    `INSERT INTO device_wait (device, run, priority, since, asked_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (run) DO UPDATE
       SET device = excluded.device, priority = excluded.priority, asked_at = excluded.asked_at
       WHERE asked_at < excluded.asked_at - ${NOTED_MS}
          OR device <> excluded.device OR priority <> excluded.priority`,
  ).run(device, run, priority, now, now);
}

function leaveQueue(db: Db, run: string): void {
  prepared(db, 'DELETE FROM device_wait WHERE run = ?').run(run);
}

const firstWaiting = (db: Db, device: string): string | undefined =>
  prepared<[string, number], { run: string }>(
    db,
    `SELECT w.run FROM device_wait w JOIN run r ON r.id = w.run
     WHERE w.device = ? AND w.asked_at >= ? AND r.state NOT IN (${IDLE})
     ORDER BY w.priority, w.since, w.rowid LIMIT 1`,
  ).get(device, Date.now() - FORGOTTEN_MS)?.run;
