/**
 * Takes a run out of the record. Its files come after: an event that outlives it says which they are,
 * so that whoever comes next can finish what a kill cut off.
 */
import { TillerError } from '../recipes/errors.ts';
import { immediate, type Db } from './connection.ts';
import { appendEvent } from './events.ts';
import { openLaunches } from './launches.ts';
import { isAlive } from './processes.ts';
import { isEnded, listRuns, recipeOf } from './runs.ts';

/** Tables whose rows belong to a run by their column `run`; what points at another comes first. */
const OF_A_RUN = [
  'epoch',
  'checkpoint',
  'usage',
  'launch',
  'sample',
  'prompt',
  'series',
  'evaluation',
  'steering',
  'event',
  'lease',
  'device_wait',
  'request',
] as const;

const OF_ITS_SERIES = ['metric_point', 'metric_chunk'] as const;

/**
 * Votes that compare one of its samples go with it; a run that was forked from it stays. Done already,
 * it does nothing.
 * @param folder the run's, to see whether another run starts from it
 * Errors: REQUEST_REFUSED for a run that is not at rest or that another one starts from.
 */
export function forgetRun(db: Db, id: string, folder: string): void {
  immediate(db, () => {
    const runs = listRuns(db);
    const run = runs.find((each) => each.id === id);
    if (run === undefined) return;
    const refuse = (why: string): never => {
      throw new TillerError('REQUEST_REFUSED', why);
    };
    if (!isEnded(run.state)) refuse(`it is ${run.state}, stop it first`);
    for (const { pid, process_start: start } of openLaunches(db, id)) {
      if (pid !== null && start !== null && isAlive(pid, start)) refuse('its trainer still works');
    }
    const heir = runs.find(
      (other) => other.id !== id && recipeOf(other).base?.startsWith(`${folder}/`),
    );
    if (heir !== undefined) refuse(`run ${heir.name} starts from a checkpoint of it`);

    const forget = (sql: string): void => void db.raw.prepare(sql).run({ run: id });
    const itsSamples = 'SELECT id FROM sample WHERE run = @run';
    forget(
      `DELETE FROM vote WHERE left_sample IN (${itsSamples}) OR right_sample IN (${itsSamples})
       OR undoes IN (SELECT id FROM vote WHERE left_sample IN (${itsSamples}) OR right_sample IN (${itsSamples}))`,
    );
    for (const table of OF_ITS_SERIES) {
      forget(`DELETE FROM ${table} WHERE series IN (SELECT id FROM series WHERE run = @run)`);
    }
    for (const table of OF_A_RUN) forget(`DELETE FROM ${table} WHERE run = @run`);
    forget('UPDATE device SET holder = NULL, since = NULL WHERE holder = @run');
    forget('UPDATE run SET parent_run = NULL WHERE parent_run = @run');
    forget('DELETE FROM run WHERE id = @run');
    appendEvent(db, { kind: 'deleted', message: `run ${run.name} deleted`, data: { run: id } });
  });
}

export const isForgotten = (db: Db, id: string): boolean =>
  db.raw.prepare('SELECT 1 FROM run WHERE id = ?').get(id) === undefined;

/** Ids of all runs that were ever deleted: only their folders may be removed. */
export const forgottenRuns = (db: Db): string[] =>
  db.raw
    .prepare<[], { run: string }>(
      `SELECT data ->> 'run' AS run FROM event WHERE run IS NULL AND kind = 'deleted'`,
    )
    .all()
    .map(({ run }) => run);

/** Artifacts that no sample names: of a deleted run, or of a sample that is about to be recorded. */
export const loneArtifacts = (db: Db): string[] =>
  db.raw
    .prepare<[], { sha256: string }>(
      `SELECT sha256 FROM artifact WHERE sha256 NOT IN (SELECT artifact FROM sample)`,
    )
    .all()
    .map(({ sha256 }) => sha256);

/**
 * Forgets one of them, and has its file removed within the same transaction, so that no sample can
 * name it meanwhile.
 */
export function forgetArtifact(db: Db, sha256: string, remove: (busy: boolean) => boolean): void {
  immediate(db, () => {
    const used = db.raw.prepare('SELECT 1 FROM sample WHERE artifact = ?').get(sha256);
    if (used !== undefined) return;
    const busy = db.raw.prepare(`SELECT 1 FROM launch WHERE state <> 'ended' LIMIT 1`).get();
    if (!remove(busy !== undefined)) return;
    db.raw.prepare('DELETE FROM artifact WHERE sha256 = ?').run(sha256);
  });
}
