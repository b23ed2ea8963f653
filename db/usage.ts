/** What a run cost: device time, energy, money; a row a trainer process. */
import { prepared, type Db } from './connection.ts';
import { leased, type Lease } from './leases.ts';
import { usage as table } from './schema.ts';

export interface LaunchUsage {
  deviceSeconds: number;
  joules: number;
  /** read from the card, and not reckoned from the recipe's watts */
  metered: boolean;
  pricePerKwh: number;
  currency: string;
}

const JOULES_PER_KWH = 3.6e6;

/** What a launch has cost until now; said again while it goes on. */
export function saveUsage(
  db: Db,
  lease: Lease,
  launch: { id: number; run: string; epoch: number; stage: string },
  { deviceSeconds, joules, metered, pricePerKwh, currency }: LaunchUsage,
): void {
  leased(db, lease, launch.run, () => {
    const spent = {
      device_seconds: deviceSeconds,
      joules,
      metered: metered ? 1 : 0,
      money: (joules / JOULES_PER_KWH) * pricePerKwh,
      currency,
    };
    const { id, run, epoch, stage } = launch;
    db.orm
      .insert(table)
      .values({ run, epoch, stage, launch: id, ...spent })
      .onConflictDoUpdate({ target: table.launch, set: spent })
      .run();
  });
}

export interface Usage {
  seconds: number;
  joules: number;
  money: number;
  currency: string | null;
  /** all of it was read from the card */
  metered: boolean;
}

type Sums = Omit<Usage, 'metered'> & { metered: number | null };

const sums = `coalesce(sum(device_seconds), 0) AS seconds, coalesce(sum(joules), 0) AS joules,
  coalesce(sum(money), 0) AS money, min(currency) AS currency, min(metered) AS metered`;

export const usageOfRun = (db: Db, run: string): Usage =>
  usageOf(prepared<[string], Sums>(db, `SELECT ${sums} FROM usage WHERE run = ?`).get(run));

/** Epochs that cost nothing are not in it. */
export const usageByEpoch = (db: Db, run: string): (Usage & { epoch: number })[] =>
  prepared<[string], Sums & { epoch: number }>(
    db,
    `SELECT epoch, ${sums} FROM usage WHERE run = ? GROUP BY epoch ORDER BY epoch`,
  )
    .all(run)
    .map((row) => ({ epoch: row.epoch, ...usageOf(row) }));

/** Epochs `first` to `last`, both included. */
export const usageBetween = (db: Db, run: string, first: number, last: number): Usage =>
  usageOf(
    prepared<[string, number, number], Sums>(
      db,
      `SELECT ${sums} FROM usage WHERE run = ? AND epoch BETWEEN ? AND ?`,
    ).get(run, first, last),
  );

function usageOf(row: Sums | undefined): Usage {
  const { seconds = 0, joules = 0, money = 0, currency = null, metered = 0 } = row ?? {};
  return { seconds, joules, money, currency, metered: metered === 1 };
}
