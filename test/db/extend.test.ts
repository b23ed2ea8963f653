import { expect, test } from '@jest/globals';
import { extendRun } from '../../db/extend.ts';
import { eventsAfter } from '../../db/events.ts';
import { createRequest, getRequest, refuseRequest } from '../../db/requests.ts';
import { getRun, setRunState } from '../../db/runs.ts';
import { newRecord, newRun } from './record.ts';

const made = () => {
  const db = newRecord();
  const run = newRun(db, { train: { epochs: 3 } }).id;
  const ask = (): string => createRequest(db, { run, verb: 'extend', arguments: { epochs: 2 } }).id;
  return { db, run, ask };
};

test('a request moves the end once, however often it is carried out', () => {
  const { db, run, ask } = made();
  const id = ask();
  extendRun(db, id);
  extendRun(db, id);
  expect(getRun(db, run)).toMatchObject({ epochs: 5, state: 'queued' });
  expect(getRequest(db, id).done_at).not.toBeNull();
  const said = eventsAfter(db, 0, run).filter(({ kind }) => kind === 'extended');
  expect(said.map(({ message }) => message)).toEqual(['2 more: ends after epoch 5 instead of 3']);
});

test('one that was refused moves nothing', () => {
  const { db, run, ask } = made();
  const id = ask();
  refuseRequest(db, id, 'the engine did not answer');
  extendRun(db, id);
  expect(getRun(db, run).epochs).toBe(3);
});

test.each([
  ['done', 'queued'],
  ['stopped', 'stopped'],
  ['paused', 'paused'],
] as const)('a run that is %s is then %s', (before, after) => {
  const { db, run, ask } = made();
  setRunState(db, run, before);
  extendRun(db, ask());
  expect(getRun(db, run)).toMatchObject({ epochs: 5, state: after });
});
