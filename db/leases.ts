/**
 * Who may write for a run. Each attempt takes the run's lease, a counter that it raises; whatever an
 * attempt writes, it writes in a transaction that has checked that no newer attempt took it since.
 */
import { TillerError } from '../recipes/errors.ts';
import { immediate, prepared, type Db } from './connection.ts';

export interface Lease {
  run: string;
  lease: number;
  /** `pid:process start` */
  owner: string;
}

export const takeLease = (db: Db, run: string, owner: string): Lease =>
  immediate(db, () => {
    const row = prepared<[string, string, number], { lease: number }>(
      db,
      `INSERT INTO lease (run, lease, owner, taken_at) VALUES (?, 1, ?, ?)
       ON CONFLICT (run) DO UPDATE SET lease = lease + 1, owner = excluded.owner, taken_at = excluded.taken_at
       RETURNING lease`,
    ).get(run, owner, Date.now());
    if (row === undefined) throw new TillerError('INTERNAL', `No lease was given for run ${run}`);
    return { run, lease: row.lease, owner };
  });

/** Call it inside the transaction that writes. Errors: LEASE_LOST. */
export function checkLease(db: Db, { run, lease }: Lease): void {
  const row = prepared<[string], { lease: number; owner: string }>(
    db,
    'SELECT lease, owner FROM lease WHERE run = ?',
  ).get(run);
  if (row?.lease === lease) return;
  throw new TillerError(
    'LEASE_LOST',
    `A newer attempt writes for run ${run} (lease ${row?.lease ?? 'none'}, not ${lease})`,
    {
      hint: 'Nothing is lost: the newer attempt goes on with the same trainer.',
    },
  );
}

/** A transaction that an older lease can't enter, for a run and not for another one. */
export const leased = <Result>(db: Db, lease: Lease, run: string, fn: () => Result): Result =>
  immediate(db, () => {
    if (lease.run !== run) {
      throw new TillerError('INTERNAL', `A lease of run ${lease.run} was used for run ${run}`);
    }
    checkLease(db, lease);
    return fn();
  });
