/** Who may write for a run. Each attempt takes a higher lease; whoever holds an older one is refused. */
import { eq } from 'drizzle-orm';
import { TillerError } from '../recipes/errors.ts';
import { immediate, type Db } from './connection.ts';
import * as schema from './schema.ts';

export interface Lease {
  readonly run: string;
  readonly lease: number;
  readonly owner: string;
}

export const takeLease = (db: Db, run: string, owner: string): Lease =>
  immediate(db, () => {
    const before = db.orm.select().from(schema.lease).where(eq(schema.lease.run, run)).get();
    const fields = { lease: (before?.lease ?? 0) + 1, owner, taken_at: Date.now() };
    db.orm
      .insert(schema.lease)
      .values({ run, ...fields })
      .onConflictDoUpdate({ target: schema.lease.run, set: fields })
      .run();
    return { run, lease: fields.lease, owner };
  });

/** Runs `write` only while the lease is the newest. Errors: LEASE_LOST. */
export const holding = <Result>(db: Db, lease: Lease, write: () => Result): Result =>
  immediate(db, () => {
    const now = db.orm.select().from(schema.lease).where(eq(schema.lease.run, lease.run)).get();
    if (now?.lease !== lease.lease) {
      throw new TillerError(
        'LEASE_LOST',
        `Lease ${lease.lease} of run ${lease.run} is over: ${now?.lease} is in force`,
        {
          hint: 'A newer attempt writes for this run; nothing is to be done.',
        },
      );
    }
    return write();
  });
