/** What the dashboard alone reads: requests, marks, processes, where a picture lies. Only reads. */
import type { Db } from './connection.ts';
import type { MemoryPlan } from './doing.ts';

export interface SampleFile {
  readonly sha256: string;
  readonly mediaType: string;
}

/** Where a sample's picture lies, by the sample's id. */
export const sampleFile = (db: Db, id: string): SampleFile | undefined =>
  db.raw
    .prepare<[string], SampleFile>(
      `SELECT a.sha256, a.media_type AS mediaType
       FROM sample s JOIN artifact a ON a.sha256 = s.artifact WHERE s.id = ?`,
    )
    .get(id);

export interface Mark {
  readonly step: number;
  readonly kind: string;
  readonly code: string | null;
  readonly message: string;
}

/** What is marked on the curves: resumes, differences, warnings, errors, steering. */
export const marksOfRun = (db: Db, run: string): Mark[] =>
  db.raw
    .prepare<[string], Mark>(
      `SELECT step, kind, code, message FROM event
       WHERE run = ? AND step IS NOT NULL
         AND kind IN ('resumed', 'difference', 'warning', 'error', 'steering')
       ORDER BY id LIMIT 500`,
    )
    .all(run);

/** Names of a run's curves. */
export const curvesOfRun = (db: Db, run: string): string[] =>
  db.raw
    .prepare<[string], { name: string }>('SELECT name FROM series WHERE run = ? ORDER BY id')
    .all(run)
    .map((row) => row.name);

export interface RunningLaunch {
  readonly id: number;
  readonly epoch: number;
  readonly stage: string;
  readonly startedAt: number;
}

/** Trainer processes of a run whose cost is not in `usage` yet. */
export const runningLaunches = (db: Db, run: string): RunningLaunch[] =>
  db.raw
    .prepare<[string], RunningLaunch>(
      `SELECT id, epoch, stage, started_at AS startedAt FROM launch
       WHERE run = ? AND state = 'running'
         AND NOT EXISTS (SELECT 1 FROM usage u WHERE u.launch = launch.id) ORDER BY id`,
    )
    .all(run);

export interface ShownRequest {
  readonly id: string;
  readonly verb: string;
  readonly arguments: string;
  readonly requestedAt: number;
  readonly acknowledgedAt: number | null;
  readonly deliveredAt: number | null;
  readonly doneAt: number | null;
  readonly refused: string | null;
}

/** The newest requests of a run. */
export const requestsForPage = (db: Db, run: string, limit = 8): ShownRequest[] =>
  db.raw
    .prepare<[string, number], ShownRequest>(
      `SELECT id, verb, arguments, requested_at AS requestedAt, acknowledged_at AS acknowledgedAt,
         delivered_at AS deliveredAt, done_at AS doneAt, refused
       FROM request WHERE run = ? ORDER BY requested_at DESC, rowid DESC LIMIT ?`,
    )
    .all(run, limit);

/** Changes whenever another connection has written. */
export const dataVersion = (db: Db): number =>
  Number(db.raw.pragma('data_version', { simple: true }));

export interface ShownProcess {
  readonly role: string;
  readonly state: string;
  readonly restarts: number;
  readonly pid: number;
  readonly start: string;
}

export const listProcesses = (db: Db): ShownProcess[] =>
  db.raw
    .prepare<[], ShownProcess>(
      'SELECT role, state, restarts, pid, process_start AS start FROM process ORDER BY role',
    )
    .all();

export interface BusyDevice {
  readonly name: string;
  readonly run: string;
  readonly runName: string;
}

/** Devices that a run holds. */
export const busyDevices = (db: Db): BusyDevice[] =>
  db.raw
    .prepare<[], BusyDevice>(
      `SELECT d.name, d.holder AS run, r.name AS runName
       FROM device d JOIN run r ON r.id = d.holder
       WHERE r.state IN ('training', 'evaluating', 'preparing', 'pausing', 'stopping', 'exporting')
       ORDER BY d.name`,
    )
    .all();

export interface KeptCheckpoint {
  readonly epoch: number;
  readonly step: number;
  readonly createdAt: number;
}

/** The newest checkpoint that is kept: where a run that failed can go on. */
export const newestCheckpoint = (db: Db, run: string): KeptCheckpoint | undefined =>
  db.raw
    .prepare<[string], KeptCheckpoint>(
      `SELECT epoch, step, created_at AS createdAt FROM checkpoint
       WHERE run = ? AND state = 'kept' ORDER BY step DESC, created_at DESC LIMIT 1`,
    )
    .get(run);

export interface WorkingTrainer {
  readonly launch: number;
  readonly stage: string;
  readonly pid: number | null;
  readonly start: string | null;
  /** JSON, as db/doing.ts has it */
  readonly preview: string | null;
  readonly progress: string | null;
}

/** The newest trainer of a run that has not ended, as far as the record knows. */
export const workingTrainer = (db: Db, run: string): WorkingTrainer | undefined =>
  db.raw
    .prepare<[string], WorkingTrainer>(
      `SELECT id AS launch, stage, pid, process_start AS start, preview, progress FROM launch
       WHERE run = ? AND state = 'running' ORDER BY id DESC LIMIT 1`,
    )
    .get(run);

export interface PlannedMemory extends MemoryPlan {
  readonly stage: string;
  readonly epoch: number;
}

/** What the newest trainer that planned its memory planned. */
export const plannedMemory = (db: Db, run: string): PlannedMemory | undefined => {
  const row = db.raw
    .prepare<[string], { stage: string; epoch: number; memory: string }>(
      `SELECT stage, epoch, memory FROM launch
       WHERE run = ? AND memory IS NOT NULL ORDER BY id DESC LIMIT 1`,
    )
    .get(run);
  if (row === undefined) return undefined;
  const { stage, epoch, memory } = row;
  return { stage, epoch, ...(JSON.parse(memory) as MemoryPlan) };
};
