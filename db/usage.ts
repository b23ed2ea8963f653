/** What a run costs: one row a trainer process, brought up to date while it runs. */
import { asc, eq } from 'drizzle-orm';
import type { Db } from './connection.ts';
import type { LaunchRow } from './launches.ts';
import { holding, type Lease } from './leases.ts';
import * as schema from './schema.ts';

export type UsageRow = typeof schema.usage.$inferSelect;

export interface Usage {
  deviceSeconds: number;
  joules: number;
  /** read from a meter, not from the recipe's watts */
  metered: boolean;
  pricePerKwh: number;
  currency: string;
}

const JOULES_A_KWH = 3_600_000;

export function saveUsage(db: Db, lease: Lease, launch: LaunchRow, usage: Usage): void {
  const fields = {
    device_seconds: usage.deviceSeconds,
    joules: usage.joules,
    metered: Number(usage.metered),
    money: (usage.joules / JOULES_A_KWH) * usage.pricePerKwh,
    currency: usage.currency,
  };
  holding(db, lease, () => {
    db.orm
      .insert(schema.usage)
      .values({
        run: launch.run,
        epoch: launch.epoch,
        stage: launch.stage,
        launch: launch.id,
        ...fields,
      })
      .onConflictDoUpdate({ target: schema.usage.launch, set: fields })
      .run();
  });
}

export const usageOfRun = (db: Db, run: string): UsageRow[] =>
  db.orm
    .select()
    .from(schema.usage)
    .where(eq(schema.usage.run, run))
    .orderBy(asc(schema.usage.id))
    .all();

export interface Cost {
  deviceSeconds: number;
  kwh: number;
  money: number;
  currency: string | null;
  /** whether all of it was read from a meter */
  metered: boolean;
}

export function totalCost(rows: readonly UsageRow[]): Cost {
  const sum = (pick: (row: UsageRow) => number): number =>
    rows.reduce((total, row) => total + pick(row), 0);
  return {
    deviceSeconds: sum((row) => row.device_seconds),
    kwh: sum((row) => row.joules) / JOULES_A_KWH,
    money: sum((row) => row.money),
    currency: rows[0]?.currency ?? null,
    metered: rows.length > 0 && rows.every(({ metered }) => metered === 1),
  };
}
