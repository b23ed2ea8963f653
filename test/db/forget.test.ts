import { describe, expect, test } from '@jest/globals';
import { forgetArtifact, forgetRun, forgottenRuns, loneArtifacts } from '../../db/forget.ts';
import { createLaunch, launchStarted } from '../../db/launches.ts';
import { takeLease } from '../../db/leases.ts';
import { processStart } from '../../db/processes.ts';
import { createRequest } from '../../db/requests.ts';
import { addSamples, seedRecord } from '../fixtures/seed-record.ts';
import { newRecord, newRun, temporaryFolder } from './record.ts';

describe('forgetRun', () => {
  test('leaves no row that names the run, and nothing else is touched', async () => {
    const { db, training, done } = await seedRecord(temporaryFolder());
    db.raw.prepare(`UPDATE run SET state = 'done'`).run();
    createRequest(db, { run: training, verb: 'pause' });
    const tables = db.raw
      .prepare<[], { name: string }>(
        `SELECT m.name FROM sqlite_schema m, pragma_foreign_key_list(m.name) f
         WHERE m.type = 'table' AND f."table" = 'run' AND f."from" = 'run'`,
      )
      .all()
      .map(({ name }) => name);
    expect(tables.length).toBeGreaterThan(10);
    const count = (table: string, where: string, run: string): unknown =>
      db.raw.prepare(`SELECT count(*) FROM ${table} WHERE ${where}`).pluck().get(run);
    const others = tables.map((table) => [table, count(table, 'run <> ?', training)]);
    forgetRun(db, training, '/home/runs/x');
    for (const table of tables)
      expect([table, count(table, 'run = ?', training)]).toEqual([table, 0]);
    expect(tables.map((table) => [table, count(table, 'run <> ?', training)])).toEqual(others);
    expect(db.raw.pragma('foreign_key_check')).toEqual([]);
    expect(count('metric_point', 'series NOT IN (SELECT id FROM series) OR ? IS NULL', done)).toBe(
      0,
    );
    expect(forgottenRuns(db)).toEqual([training]);
    forgetRun(db, training, '/home/runs/x');
    expect(forgottenRuns(db)).toEqual([training]);
    db.close();
  });

  test('refuses a run that goes, whose trainer works, or that another one starts from', () => {
    const db = newRecord();
    const { id } = newRun(db, { name: 'first' });
    const forget = () => forgetRun(db, id, '/home/runs/first');
    expect(forget).toThrow(expect.objectContaining({ message: 'it is queued, stop it first' }));
    db.raw.prepare(`UPDATE run SET state = 'stopped'`).run();
    const lease = takeLease(db, id, 'test');
    const launch = createLaunch(db, lease, { run: id, epoch: 1, stage: 'train', folder: '/x' });
    launchStarted(db, lease, launch.id, process.pid, processStart(process.pid)!);
    expect(forget).toThrow('its trainer still works');
    launchStarted(db, lease, launch.id, process.pid, 'another time');
    const base = '/home/runs/first/checkpoints/step-00000010';
    const heir = newRun(db, { name: 'second', base });
    expect(forget).toThrow('run second starts from a checkpoint of it');
    db.raw.prepare('DELETE FROM event WHERE run = ?').run(heir.id);
    db.raw.prepare('DELETE FROM run WHERE id = ?').run(heir.id);
    forget();
    expect(forgottenRuns(db)).toEqual([id]);
  });

  test('an artifact is forgotten with its file, and never one that a sample names', async () => {
    const home = temporaryFolder();
    const { db, training } = await seedRecord(home);
    await addSamples(db, home, training, { epoch: 1, step: 1, seed: 4_242 });
    const asked: boolean[] = [];
    const used = db.raw.prepare('SELECT artifact FROM sample LIMIT 1').pluck().get() as string;
    forgetArtifact(db, used, () => asked.push(true) > 0);
    expect(asked).toEqual([]);
    db.raw.prepare(`UPDATE run SET state = 'done'`).run();
    forgetRun(db, training, '/x');
    const [lone] = loneArtifacts(db);
    forgetArtifact(db, lone!, () => false);
    expect(loneArtifacts(db)).toContain(lone);
    forgetArtifact(db, lone!, () => true);
    expect(loneArtifacts(db)).not.toContain(lone);
    db.close();
  });
});
