/** Pictures and texts that a model made, each under all that it was made from. */
import { and, asc, eq } from './drizzle.ts';
import { prepared, type Db } from './connection.ts';
import { newId } from './ids.ts';
import { artifact, sample } from './schema.ts';

export type SampleRow = typeof sample.$inferSelect;
export interface NewArtifact {
  sha256: string;
  mediaType: string;
  bytes: number;
  width?: number | null;
  height?: number | null;
}

/** Notes a file that lies under its content's name already. The same file twice is one. */
export function registerArtifact(
  db: Db,
  { sha256, mediaType, bytes, width = null, height = null }: NewArtifact,
): void {
  db.orm
    .insert(artifact)
    .values({ sha256, media_type: mediaType, bytes, width, height, created_at: Date.now() })
    .onConflictDoNothing()
    .run();
}

/** Whether anything was sampled for a request. */
export const hasSamples = (db: Db, request: string): boolean =>
  prepared<[string], unknown>(db, 'SELECT 1 FROM sample WHERE request = ? LIMIT 1').get(request) !==
  undefined;

/** All samples of a run, by epoch and step. */
export const listSamples = (db: Db, run: string): SampleRow[] =>
  db.orm
    .select()
    .from(sample)
    .where(eq(sample.run, run))
    .orderBy(asc(sample.epoch), asc(sample.step), asc(sample.prompt))
    .all();

export type MadeSample = Omit<SampleRow, 'id' | 'checkpoint' | 'created_at'>;

/**
 * Inside ingest's transaction. One that is recorded is compared with, never replaced.
 * @returns the recorded file's hash, if it was another
 */
export function saveSample(db: Db, made: MadeSample): { recorded?: string } {
  const known = recordedSample(db, made);
  if (known !== undefined) {
    // Made on request before, and now by the evaluation: it belongs to the epoch.
    if (made.request === null && known.request !== null) {
      db.orm.update(sample).set({ request: null }).where(eq(sample.id, known.id)).run();
    }
    return known.artifact === made.artifact ? {} : { recorded: known.artifact };
  }
  const checkpoint = weightsAt(db, made.run, made.step);
  const row = { ...made, id: newId(16), checkpoint, created_at: Date.now() };
  db.orm.insert(sample).values(row).run();
  return {};
}

/** The weights of a checkpoint at the sample's step, where there is one. */
const weightsAt = (db: Db, run: string, step: number): string | null =>
  prepared<[string, number], { weights: string }>(
    db,
    `SELECT weights_sha256 AS weights FROM checkpoint
     WHERE run = ? AND step = ? AND weights_sha256 IS NOT NULL ORDER BY kind LIMIT 1`,
  ).get(run, step)?.weights ?? null;

/** The same sample by all that it was made from. */
const recordedSample = (db: Db, made: MadeSample): SampleRow | undefined =>
  db.orm
    .select()
    .from(sample)
    .where(
      and(
        eq(sample.run, made.run),
        eq(sample.epoch, made.epoch),
        eq(sample.step, made.step),
        eq(sample.prompt, made.prompt),
        eq(sample.seed, made.seed),
        eq(sample.sampler, made.sampler),
        eq(sample.sampling_steps, made.sampling_steps),
        eq(sample.guidance, made.guidance),
        eq(sample.width, made.width),
        eq(sample.height, made.height),
        eq(sample.weights, made.weights),
      ),
    )
    .get();
