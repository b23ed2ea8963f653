/** Who has the device, and who waits for it: by priority, then by who came first. */
import { and, asc, eq } from 'drizzle-orm';
import { immediate, type Db } from './connection.ts';
import { isEnded } from './runs.ts';
import * as schema from './schema.ts';

export type WaitRow = typeof schema.deviceWait.$inferSelect;
const { device, deviceWait, run: runs } = schema;

/** Puts the run into the queue and gives it the device if it is first and the device is free. */
export const claimDevice = (db: Db, name: string, run: string, priority: number): boolean =>
  immediate(db, () => {
    const holder = db.orm.select().from(device).where(eq(device.name, name)).get()?.holder ?? null;
    if (holder === run) return true;
    db.orm
      .insert(deviceWait)
      .values({ device: name, run, priority, since: Date.now() })
      .onConflictDoNothing()
      .run();
    if (holder !== null && needs(db, holder)) return false;
    const [first] = deviceQueue(db, name).filter((wait) => needs(db, wait.run));
    if (first?.run !== run) return false;
    const fields = { holder: run, since: Date.now() };
    db.orm
      .insert(device)
      .values({ name, ...fields })
      .onConflictDoUpdate({ target: device.name, set: fields })
      .run();
    db.orm.delete(deviceWait).where(eq(deviceWait.run, run)).run();
    return true;
  });

export function releaseDevice(db: Db, run: string): void {
  immediate(db, () => {
    db.orm.update(device).set({ holder: null, since: null }).where(eq(device.holder, run)).run();
    db.orm.delete(deviceWait).where(eq(deviceWait.run, run)).run();
  });
}

export const deviceQueue = (db: Db, name: string): WaitRow[] =>
  db.orm
    .select()
    .from(deviceWait)
    .where(and(eq(deviceWait.device, name)))
    .orderBy(asc(deviceWait.priority), asc(deviceWait.since), asc(deviceWait.run))
    .all();

/** A run that has ended or stands still holds nobody up. */
function needs(db: Db, run: string): boolean {
  const row = db.orm.select({ state: runs.state }).from(runs).where(eq(runs.id, run)).get();
  return row !== undefined && !isEnded(row.state) && row.state !== 'paused';
}
