/** What people asked of runs: requested → acknowledged → delivered → done, or refused. */
import { and, asc, eq, isNotNull, isNull } from 'drizzle-orm';
import { TillerError } from '../recipes/errors.ts';
import type { Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { newId } from './runs.ts';
import * as schema from './schema.ts';

export type RequestRow = typeof schema.request.$inferSelect;
const { request } = schema;

export function createRequest(
  db: Db,
  asked: { run: string; verb: string; arguments: object },
): RequestRow {
  const row = db.orm
    .insert(request)
    .values({
      id: newId(),
      run: asked.run,
      verb: asked.verb,
      arguments: JSON.stringify(asked.arguments),
      requested_at: Date.now(),
    })
    .returning()
    .get();
  note(db, row, 'requested');
  return row;
}

export function getRequest(db: Db, id: string): RequestRow {
  const row = db.orm.select().from(request).where(eq(request.id, id)).get();
  if (row === undefined) throw new TillerError('INTERNAL', `There is no request ${id}`);
  return row;
}

export const acknowledgeRequest = (db: Db, id: string): void =>
  move(db, id, 'acknowledged', { acknowledged_at: Date.now() });
export const deliverRequest = (db: Db, id: string): void =>
  move(db, id, 'delivered', { delivered_at: Date.now() });
export const finishRequest = (db: Db, id: string): void =>
  move(db, id, 'done', { done_at: Date.now() });
export const refuseRequest = (db: Db, id: string, why: string): void =>
  move(db, id, `refused: ${why}`, { refused: why });

/** Neither done nor refused, oldest first. */
export const openRequests = (db: Db, run: string): RequestRow[] =>
  db.orm
    .select()
    .from(request)
    .where(and(eq(request.run, run), isNull(request.done_at), isNull(request.refused)))
    .orderBy(asc(request.requested_at))
    .all();

/** Taken by the workflow and not yet brought to a trainer. */
export const pendingDeliveries = (db: Db, run: string): RequestRow[] =>
  db.orm
    .select()
    .from(request)
    .where(
      and(
        eq(request.run, run),
        isNotNull(request.acknowledged_at),
        isNull(request.delivered_at),
        isNull(request.done_at),
        isNull(request.refused),
      ),
    )
    .orderBy(asc(request.requested_at))
    .all();

/** Whether someone wants the trainer to stop now, as far as it was told. */
export const stopAsked = (db: Db, run: string): boolean =>
  openRequests(db, run).some(
    ({ verb, delivered_at: delivered }) =>
      (verb === 'pause' || verb === 'stop') && delivered !== null,
  );

export const listRequests = (db: Db, run: string): RequestRow[] =>
  db.orm
    .select()
    .from(request)
    .where(eq(request.run, run))
    .orderBy(asc(request.requested_at))
    .all();

function move(db: Db, id: string, what: string, fields: Partial<RequestRow>): void {
  db.orm.update(request).set(fields).where(eq(request.id, id)).run();
  note(db, getRequest(db, id), what);
}

function note(db: Db, { id, run, verb }: RequestRow, what: string): void {
  appendEvent(db, { run, kind: 'request', message: `${verb} ${what}`, data: { request: id } });
}
