/** What people asked of a run: requested → acknowledged → delivered → done, or refused. */
import { and, asc, eq, isNotNull, isNull, sql } from './drizzle.ts';
import { TillerError } from '../recipes/errors.ts';
import { immediate, type Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { newId } from './ids.ts';
import { request as table } from './schema.ts';

export type RequestRow = typeof table.$inferSelect;

export interface NewRequest {
  run: string;
  verb: string;
  arguments?: Record<string, unknown>;
}

export const createRequest = (
  db: Db,
  { run, verb, arguments: given = {} }: NewRequest,
): RequestRow =>
  immediate(db, () => {
    const row = db.orm
      .insert(table)
      .values({
        id: newId(),
        run,
        verb,
        arguments: JSON.stringify(given),
        requested_at: Date.now(),
      })
      .returning()
      .get();
    tell(db, row, 'asked for');
    return row;
  });

/** Errors: INTERNAL when there is none. */
export function getRequest(db: Db, id: string): RequestRow {
  const row = db.orm.select().from(table).where(eq(table.id, id)).get();
  if (row === undefined) throw new TillerError('INTERNAL', `There is no request ${id}`);
  return row;
}

/** The workflow took it. */
export function acknowledgeRequest(db: Db, id: string): void {
  move(db, id, { acknowledged_at: Date.now() }, 'taken');
}

/** The trainer was told. */
export function deliverRequest(db: Db, id: string): void {
  move(db, id, { delivered_at: Date.now() }, 'the trainer was told');
}

export function finishRequest(db: Db, id: string): void {
  move(db, id, { done_at: Date.now() }, 'done');
}

export function refuseRequest(db: Db, id: string, why: string): void {
  move(db, id, { refused: why }, `refused: ${why}`);
}

/** Once done or refused it stays so. */
function move(db: Db, id: string, changes: Partial<RequestRow>, what: string): void {
  immediate(db, () => {
    const row = getRequest(db, id);
    if (row.done_at !== null || row.refused !== null) return;
    db.orm.update(table).set(changes).where(eq(table.id, id)).run();
    tell(db, row, what);
  });
}

function tell(db: Db, { run, verb, id, arguments: given }: RequestRow, what: string): void {
  const { after, epochs } = JSON.parse(given) as { after?: string; epochs?: number };
  const more = epochs === undefined ? '' : ` by ${epochs}`;
  const when = after === undefined ? '' : after === 'now' ? ' now' : ` after the ${after}`;
  appendEvent(db, {
    run,
    kind: 'request',
    message: `${verb}${more}${when}: ${what}`,
    data: { request: id },
  });
}

const isOpen = (run: string) =>
  and(eq(table.run, run), isNull(table.done_at), isNull(table.refused));

const inOrder = [asc(table.requested_at), sql`rowid`] as const;

/** Neither done nor refused, oldest first. */
export const openRequests = (db: Db, run: string): RequestRow[] =>
  db.orm
    .select()
    .from(table)
    .where(isOpen(run))
    .orderBy(...inOrder)
    .all();

/** Those that the workflow took and that the trainer has not heard of. */
export const pendingDeliveries = (db: Db, run: string): RequestRow[] =>
  db.orm
    .select()
    .from(table)
    .where(and(isOpen(run), isNotNull(table.acknowledged_at), isNull(table.delivered_at)))
    .orderBy(...inOrder)
    .all();

/** Whether the trainer is to stop in the midst of an epoch: at its next checkpoint, or without one. */
export function stopAsked(db: Db, run: string): 'saved' | 'now' | undefined {
  const asked = openRequests(db, run)
    .filter(({ verb, acknowledged_at: taken }) => /^(pause|stop)$/.test(verb) && taken !== null)
    .map(({ arguments: given }) => (JSON.parse(given) as { after?: string }).after);
  if (asked.includes('now')) return 'now';
  return asked.some((after) => after !== 'epoch') ? 'saved' : undefined;
}
