/** Samples, each with all that it was made from, and the files by content that hold them. */
import { and, asc, eq } from 'drizzle-orm';
import type { EventOf } from '../native/protocol.ts';
import { epochCheckpoint } from './checkpoints.ts';
import type { Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { newId } from './runs.ts';
import * as schema from './schema.ts';

export type SampleRow = typeof schema.sample.$inferSelect;

export interface NewArtifact {
  sha256: string;
  mediaType: string;
  bytes: number;
  width?: number;
  height?: number;
}

/** The file must be in its place already: the record never names one that isn't there. */
export function registerArtifact(
  db: Db,
  { sha256, mediaType, bytes, width, height }: NewArtifact,
): void {
  db.orm
    .insert(schema.artifact)
    .values({
      sha256,
      media_type: mediaType,
      bytes,
      width: width ?? null,
      height: height ?? null,
      created_at: Date.now(),
    })
    .onConflictDoNothing()
    .run();
}

export function addSample(db: Db, run: string, event: EventOf<'sample'>): void {
  const { epoch, step, prompt, sha256, request } = event;
  const made = request === undefined ? epochCheckpoint(db, run, epoch) : undefined;
  const { changes } = db.orm
    .insert(schema.sample)
    .values({
      id: newId(),
      run,
      epoch,
      step,
      prompt: `${run}-${prompt}`,
      seed: event.seed,
      sampler: event.sampler,
      sampling_steps: event.sampling_steps,
      guidance: event.guidance,
      width: event.width,
      height: event.height,
      weights: event.weights,
      checkpoint: made?.weights_sha256 ?? null,
      artifact: sha256,
      request: request ?? null,
      created_at: Date.now(),
    })
    .onConflictDoNothing()
    .run();
  if (changes > 0)
    appendEvent(db, {
      run,
      kind: 'sample',
      epoch,
      step,
      message: `sample of prompt ${prompt + 1}`,
    });
}

export const listSamples = (db: Db, run: string): SampleRow[] =>
  db.orm
    .select()
    .from(schema.sample)
    .where(eq(schema.sample.run, run))
    .orderBy(asc(schema.sample.epoch), asc(schema.sample.step), asc(schema.sample.prompt))
    .all();

export const samplesOfEpoch = (db: Db, run: string, epoch: number): SampleRow[] =>
  db.orm
    .select()
    .from(schema.sample)
    .where(and(eq(schema.sample.run, run), eq(schema.sample.epoch, epoch)))
    .all();

/** Whether a request has led to a sample yet. */
export const hasSamples = (db: Db, request: string): boolean =>
  db.orm
    .select({ id: schema.sample.id })
    .from(schema.sample)
    .where(eq(schema.sample.request, request))
    .get() !== undefined;
