import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { claimDevice, releaseDevice } from '../../db/devices.ts';
import { setRunState, type RunState } from '../../db/runs.ts';
import { newRecord, newRun } from './record.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

function queue() {
  const db = newRecord();
  let now = 1_000_000;
  jest.spyOn(Date, 'now').mockImplementation(() => (now += 10));
  const add = (name: string) => newRun(db, { name }).id;
  const claim = (run: string, priority = 3, device = 'cpu') =>
    claimDevice(db, device, run, priority);
  const later = (ms: number) => (now += ms);
  return { db, add, claim, later };
}

describe('a device', () => {
  test('goes to the first, who has it however often it asks', () => {
    const { add, claim } = queue();
    const [a, b] = [add('a'), add('b')];
    expect([claim(a), claim(b), claim(a), claim(b)]).toEqual([true, false, true, false]);
  });

  test('goes to the next by priority, then by who came first', () => {
    const { db, add, claim } = queue();
    const [holder, late, early, urgent] = ['holder', 'late', 'early', 'urgent'].map(add) as [
      string,
      string,
      string,
      string,
    ];
    claim(holder);
    claim(early, 3);
    claim(late, 3);
    claim(urgent, 1);
    const order: string[] = [];
    for (let turn = 0, last = holder; turn < 3; turn++) {
      releaseDevice(db, last);
      const next = [late, early, urgent]
        .filter((run) => !order.includes(run))
        .find((run) => claim(run, run === urgent ? 1 : 3));
      order.push((last = next!));
    }
    expect(order).toEqual([urgent, early, late]);
    expect(db.raw.prepare('SELECT * FROM device_wait').all()).toEqual([]);
  });

  test.each<RunState>(['done', 'stopped', 'failed', 'paused'])(
    'a holder that is %s does not hold it',
    (state) => {
      const { db, add, claim } = queue();
      const [a, b] = [add('a'), add('b')];
      claim(a);
      expect(claim(b)).toBe(false);
      setRunState(db, a, state);
      expect(claim(b)).toBe(true);
      setRunState(db, a, 'waiting');
      expect(claim(a)).toBe(false);
    },
  );

  test.each<RunState>(['training', 'interrupted', 'evaluating', 'pausing', 'stopping', 'waiting'])(
    'a holder that is %s holds it',
    (state) => {
      const { db, add, claim } = queue();
      const [a, b] = [add('a'), add('b')];
      claim(a);
      setRunState(db, a, state);
      expect(claim(b)).toBe(false);
    },
  );

  test.each<RunState>(['failed', 'paused', 'stopped'])(
    'one who waits and is %s holds nobody up',
    (state) => {
      const { db, add, claim } = queue();
      const [holder, urgent, other] = [add('holder'), add('urgent'), add('other')];
      claim(holder);
      claim(urgent, 1);
      claim(other, 5);
      setRunState(db, urgent, state);
      releaseDevice(db, holder);
      expect(claim(other, 5)).toBe(true);
    },
  );

  test('one who has not asked for long holds nobody up, and keeps its place', () => {
    const { db, add, claim, later } = queue();
    const [holder, gone, other, third] = [add('holder'), add('gone'), add('other'), add('third')];
    claim(holder);
    claim(gone);
    claim(other);
    releaseDevice(db, holder);
    expect(claim(other)).toBe(false);
    later(60_000);
    expect(claim(other)).toBe(true);
    claim(third);
    claim(gone);
    releaseDevice(db, other);
    expect([claim(third), claim(gone)]).toEqual([false, true]);
  });

  test('asking and being told to wait again and again writes nothing', () => {
    const { db, add, claim } = queue();
    const [a, b] = [add('a'), add('b')];
    claim(a);
    claim(b);
    const before = db.raw.prepare('SELECT total_changes() AS n').get();
    for (let turn = 0; turn < 10; turn++) claim(b);
    expect(db.raw.prepare('SELECT total_changes() AS n').get()).toEqual(before);
  });

  test('is one of several', () => {
    const { add, claim } = queue();
    const [a, b] = [add('a'), add('b')];
    expect([claim(a, 3, 'cpu'), claim(b, 3, 'cuda:0')]).toEqual([true, true]);
  });
});
