/** Runs of the fixture trainer under a real `tiller up`: real engine, real worker, real processes. */
import { afterAll, beforeAll } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { sleep } from '../../activities/training/trainer-process.ts';
import { openRecord, type Db } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { readPoints } from '../../db/metrics.ts';
import { createRun, getRun } from '../../db/runs.ts';
import { connectEngine, startRun } from '../../engine/client.ts';
import { recipeSchema } from '../../recipes/schema.ts';
import { startUp } from '../chaos/up.ts';

const trainer = join(import.meta.dirname, '..', 'fixtures', 'trainers', 'knobs.mjs');

interface House {
  home: string;
  db: Db;
  client: Client;
}

interface RunOptions {
  epochs?: number;
  priority?: number;
  schedule?: string;
  epochsAHistory?: number;
  prompts?: string[];
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  // Far beyond what it takes: the machine may be busy, and a test that hangs says less than one that fails.
  for (const end = Date.now() + 90_000; !condition(); await sleep(20)) {
    if (Date.now() > end) throw new Error(`still waiting for ${what}`);
  }
}

export const upTo = (last: number): number[] =>
  Array.from({ length: last }, (_, index) => index + 1);

/** Starts `tiller up` before a file's tests and stops it after them. */
export function useRuns() {
  let house: House;
  let close: () => Promise<void>;

  beforeAll(async () => {
    const home = await mkdtemp(join(tmpdir(), 'tiller-runs-'));
    const env = { ...process.env, TILLER_HOME: home };
    const up = await startUp(home, env);
    await up.ready();
    const db = openRecord(homePaths(home).record);
    const client = await connectEngine(db, env);
    house = { home, db, client };
    close = async () => {
      await client.connection.close();
      await up.stop();
      db.close();
      await rm(home, { recursive: true, force: true });
    };
  }, 600_000);

  afterAll(() => close(), 120_000);

  const state = (run: string): string => getRun(house.db, run).state;

  return {
    opened: (): House => house,
    state,
    steps: (run: string): number[] => readPoints(house.db, run, 'loss').map(({ step }) => step),
    reaches: (run: string, wanted: string): Promise<void> =>
      until(
        () => state(run) === wanted,
        `${wanted}; it is ${state(run)}: ${getRun(house.db, run).state_reason}`,
      ),
    /** @param settings the fixture's knobs. Epochs have 20 steps. */
    async start(
      settings: Record<string, unknown>,
      {
        epochs = 2,
        priority = 3,
        schedule = 'constant',
        epochsAHistory,
        prompts = [],
      }: RunOptions = {},
    ): Promise<string> {
      const recipe = recipeSchema.parse({
        trainer: { command: [process.execPath, trainer] },
        settings,
        priority,
        train: { epochs, schedule, steps_per_epoch: 20 },
        samples: { prompts },
      });
      const fields = {
        name: 'fixture',
        recipe,
        recipeHash: 'hash',
        trainer: 'knobs',
        device: 'cpu',
        threads: 1,
      };
      const { id } = createRun(house.db, { ...fields, priority, epochs });
      await startRun(house.client, id, epochsAHistory === undefined ? {} : { epochsAHistory });
      return id;
    },
  };
}
