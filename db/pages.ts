/** What the pages read, a query a question. Only reads. */
import type { Db } from './connection.ts';
import { decodeFigure } from './figures.ts';

export interface ListedRun {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly reason: string | null;
  readonly code: string | null;
  readonly createdAt: number;
  readonly stateAt: number;
  readonly recipe: string;
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly stepsPerEpoch: number | null;
  readonly lastStepAt: number | null;
  readonly device: string;
  readonly trainer: string;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly parentRun: string | null;
  readonly parentEpoch: number | null;
  readonly dataset: string | null;
  readonly lastValidation: number | null;
  readonly bestValidation: number | null;
  readonly bestEpoch: number | null;
  readonly joules: number;
  readonly money: number;
  readonly currency: string | null;
  readonly lastSample: string | null;
  readonly lastEpoch: number | null;
}

const listedRun = `SELECT r.id, r.name, r.state, r.state_reason AS reason, r.state_code AS code,
         r.created_at AS createdAt, r.state_at AS stateAt, r.recipe, r.epoch, r.epochs, r.step,
         r.steps_per_epoch AS stepsPerEpoch, r.last_step_at AS lastStepAt, r.device, r.trainer,
         r.started_at AS startedAt, r.ended_at AS endedAt, r.parent_run AS parentRun,
         r.parent_epoch AS parentEpoch, r.dataset,
         (SELECT validation_loss FROM epoch e WHERE e.run = r.id AND validation_loss IS NOT NULL
          ORDER BY e.epoch DESC LIMIT 1) AS lastValidation,
         (SELECT min(validation_loss) FROM epoch e WHERE e.run = r.id) AS bestValidation,
         (SELECT e.epoch FROM epoch e WHERE e.run = r.id AND validation_loss IS NOT NULL
          ORDER BY validation_loss, e.epoch LIMIT 1) AS bestEpoch,
         (SELECT max(e.epoch) FROM epoch e WHERE e.run = r.id AND e.state = 'evaluated') AS lastEpoch,
         (SELECT coalesce(sum(joules), 0) FROM usage u WHERE u.run = r.id) AS joules,
         (SELECT coalesce(sum(money), 0) FROM usage u WHERE u.run = r.id) AS money,
         (SELECT currency FROM usage u WHERE u.run = r.id LIMIT 1) AS currency,
         (SELECT s.id FROM sample s WHERE s.run = r.id
          ORDER BY s.step DESC, s.epoch DESC, s.created_at, s.rowid LIMIT 1) AS lastSample
       FROM run r`;

/** Every run with what its row on the runs page says, newest first. */
export const listRunsForPage = (db: Db): ListedRun[] =>
  db.raw.prepare<[], ListedRun>(`${listedRun} ORDER BY r.created_at DESC, r.rowid DESC`).all();

/** One run, by its id or its name. */
export const runForPage = (db: Db, idOrName: string): ListedRun | undefined =>
  db.raw
    .prepare<[string, string, string], ListedRun>(
      `${listedRun} WHERE r.id = ? OR r.name = ? ORDER BY r.id = ? DESC LIMIT 1`,
    )
    .get(idOrName, idOrName, idOrName);

export interface ShownSample {
  readonly id: string;
  readonly epoch: number;
  readonly step: number;
  readonly prompt: string;
  readonly position: number;
  readonly text: string;
  readonly negative: string;
  readonly seed: number;
  readonly sampler: string;
  readonly steps: number;
  readonly guidance: number;
  readonly width: number;
  readonly height: number;
  readonly weights: string;
  readonly checkpoint: string | null;
  readonly request: string | null;
  readonly createdAt: number;
  /** what else its prompt says (db/prompts.ts) */
  readonly extra: string | null;
}

const sampleColumns = `s.id, s.epoch, s.step, s.prompt, p.position, p.text, p.negative, s.seed,
  s.sampler, s.sampling_steps AS steps, s.guidance, s.width, s.height, s.weights, s.checkpoint,
  s.request, s.created_at AS createdAt, p.extra`;

/** Samples of a run in the order in which they are shown: by step, then by prompt. */
export const samplesOfRun = (db: Db, run: string): ShownSample[] =>
  db.raw
    .prepare<[string], ShownSample>(
      `SELECT ${sampleColumns} FROM sample s JOIN prompt p ON p.id = s.prompt
       WHERE s.run = ? ORDER BY s.epoch, s.step, p.position, s.created_at`,
    )
    .all(run);

/** Samples of an epoch's evaluation; those made on request between two evaluations are left out. */
export const samplesOfEpoch = (db: Db, run: string, epoch: number): ShownSample[] =>
  db.raw
    .prepare<[string, number], ShownSample>(
      `SELECT ${sampleColumns} FROM sample s JOIN prompt p ON p.id = s.prompt
       WHERE s.run = ? AND s.epoch = ? AND s.request IS NULL
       ORDER BY p.position, s.seed, s.width, s.height`,
    )
    .all(run, epoch);

export interface ShownEpoch {
  readonly epoch: number;
  readonly state: string;
  readonly firstStep: number;
  readonly lastStep: number;
  readonly trainLoss: number | null;
  readonly deviation: number | null;
  readonly count: number | null;
  readonly validationLoss: number | null;
  readonly startedAt: number | null;
  readonly trainedAt: number | null;
  readonly evaluatedAt: number | null;
}

/** Epochs of a run, 0 (the untouched base) first. */
export const epochsForPage = (db: Db, run: string): ShownEpoch[] =>
  db.raw
    .prepare<[string], ShownEpoch>(
      `SELECT epoch, state, first_step AS firstStep, last_step AS lastStep,
         train_loss AS trainLoss, train_loss_deviation AS deviation, train_loss_count AS count,
         validation_loss AS validationLoss, started_at AS startedAt, trained_at AS trainedAt,
         evaluated_at AS evaluatedAt
       FROM epoch WHERE run = ? ORDER BY epoch`,
    )
    .all(run);

/** Epochs of a run that were evaluated, ascending. */
export const evaluatedEpochs = (db: Db, run: string): number[] =>
  db.raw
    .prepare<[string], { epoch: number }>(
      `SELECT epoch FROM epoch WHERE run = ? AND state = 'evaluated' ORDER BY epoch`,
    )
    .all(run)
    .map((row) => row.epoch);

export interface ShownEvaluation {
  readonly epoch: number;
  readonly step: number;
  readonly weights: string;
  readonly loss: number;
  readonly bins: { timestep: number; loss: number }[];
  readonly items: number | null;
}

/** Validation by epoch, for the weights that the run is judged by. */
export const evaluationsOfRun = (db: Db, run: string, weights: string): ShownEvaluation[] =>
  db.raw
    .prepare<
      [string, string],
      Record<'epoch' | 'step' | 'loss' | 'items', number> & { weights: string; bins: string }
    >(
      `SELECT epoch, step, weights, loss, bins, items FROM evaluation
       WHERE run = ? AND weights = ? ORDER BY epoch`,
    )
    .all(run, weights)
    .map((row) => ({
      ...row,
      loss: decodeFigure(row.loss),
      bins: (JSON.parse(row.bins) as { timestep: number; loss: number | string | null }[]).map(
        (bin) => ({ timestep: bin.timestep, loss: bin.loss === null ? NaN : Number(bin.loss) }),
      ),
    }));

export interface EpochUsage {
  readonly epoch: number;
  readonly seconds: number;
  readonly joules: number;
  readonly money: number;
  readonly metered: number;
  readonly currency: string;
}

/** What each epoch of a run cost. */
export const usageOfEpochs = (db: Db, run: string): EpochUsage[] =>
  db.raw
    .prepare<[string], EpochUsage>(
      `SELECT epoch, sum(device_seconds) AS seconds, sum(joules) AS joules, sum(money) AS money,
         min(metered) AS metered, min(currency) AS currency
       FROM usage WHERE run = ? GROUP BY epoch ORDER BY epoch`,
    )
    .all(run);

export interface ShownEvent {
  readonly id: number;
  readonly run: string | null;
  readonly at: number;
  readonly kind: string;
  readonly epoch: number | null;
  readonly step: number | null;
  readonly code: string | null;
  readonly message: string;
}

/** Events after an id, of one run or of all, oldest first: what a page that was away has missed. */
export const eventsSince = (
  db: Db,
  after: number,
  run: string | undefined,
  limit: number,
): ShownEvent[] =>
  db.raw
    .prepare<[number, string | null, string | null, number], ShownEvent>(
      `SELECT id, run, at, kind, epoch, step, code, message FROM event
       WHERE id > ? AND (? IS NULL OR run = ?) ORDER BY id LIMIT ?`,
    )
    .all(after, run ?? null, run ?? null, limit);

/** Id of the newest event. */
export const lastEventId = (db: Db): number =>
  db.raw.prepare<[], { id: number | null }>('SELECT max(id) AS id FROM event').get()?.id ?? 0;

/** The newest events of a run, newest first. */
export const newestEvents = (db: Db, run: string, limit: number): ShownEvent[] =>
  db.raw
    .prepare<[string, number], ShownEvent>(
      `SELECT id, run, at, kind, epoch, step, code, message FROM event
       WHERE run = ? ORDER BY id DESC LIMIT ?`,
    )
    .all(run, limit);
