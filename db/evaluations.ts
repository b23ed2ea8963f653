/** What held-out items cost an epoch's weights, in all and by timestep. */
import { and, asc, eq } from './drizzle.ts';
import type { Db } from './connection.ts';
import { wordOfFigure } from './figures.ts';
import { getRun, recipeOf } from './runs.ts';
import { evaluation as table } from './schema.ts';

export interface Bin {
  timestep: number;
  loss: number;
}

export interface Evaluation {
  run: string;
  epoch: number;
  step: number;
  weights: string;
  loss: number;
  bins: Bin[];
  items: number | null;
  created_at: number;
}

/** Of an epoch, for one kind of weights. */
export function getEvaluation(
  db: Db,
  run: string,
  epoch: number,
  weights: string,
): Evaluation | undefined {
  const one = and(eq(table.run, run), eq(table.epoch, epoch), eq(table.weights, weights));
  const row = db.orm.select().from(table).where(one).get();
  return row && withBins(row);
}

/** For the weights that the run's recipe is judged by, or the only ones there are. */
export function judgedEvaluation(db: Db, run: string, epoch: number): Evaluation | undefined {
  const { weights } = recipeOf(getRun(db, run)).validation;
  const all = listEvaluations(db, run).filter((one) => one.epoch === epoch);
  return all.find((one) => one.weights === weights) ?? all[0];
}

/** By epoch. */
export const listEvaluations = (db: Db, run: string): Evaluation[] =>
  db.orm
    .select()
    .from(table)
    .where(eq(table.run, run))
    .orderBy(asc(table.epoch), asc(table.weights))
    .all()
    .map(withBins);

function withBins(row: typeof table.$inferSelect): Evaluation {
  const bins = JSON.parse(row.bins) as { timestep: number; loss: number | string }[];
  return { ...row, bins: bins.map(({ timestep, loss }) => ({ timestep, loss: Number(loss) })) };
}

/**
 * Inside ingest's transaction. One that is recorded is compared with, never replaced.
 * @returns the recorded loss, if it was another
 */
export function saveEvaluation(
  db: Db,
  { bins, ...evaluation }: Omit<Evaluation, 'created_at'>,
): { recorded?: number } {
  const known = getEvaluation(db, evaluation.run, evaluation.epoch, evaluation.weights);
  if (known !== undefined) {
    return Object.is(known.loss, evaluation.loss) ? {} : { recorded: known.loss };
  }
  const words = bins.map(({ timestep, loss }) => ({ timestep, loss: wordOfFigure(loss) }));
  db.orm
    .insert(table)
    .values({ ...evaluation, bins: JSON.stringify(words), created_at: Date.now() })
    .run();
  return {};
}
