/** What a run cost: device time, energy, money; a row a trainer process. */
import type { Db } from './connection.ts';
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
