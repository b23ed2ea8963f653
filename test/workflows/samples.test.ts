/** Prompts that come and go, and samples of epochs that are over, under a real `tiller up`. */
import { beforeAll, expect, test } from '@jest/globals';
import type { Client } from '@temporalio/client';
import type { Db } from '../../db/connection.ts';
import { eventsAfter } from '../../db/events.ts';
import { promptsOf } from '../../db/prompts.ts';
import { getRequest, type RequestRow } from '../../db/requests.ts';
import { getRun } from '../../db/runs.ts';
import { listSamples } from '../../db/samples.ts';
import { sendRequest } from '../../engine/client.ts';
import { until, upTo, useRuns } from './use-runs.ts';

const runs = useRuns();
const { start, steps, reaches } = runs;
let db: Db;
let client: Client;
beforeAll(() => {
  ({ db, client } = runs.opened());
});

const prompts = ['a cat'];

/** epoch and position of each */
const sampled = (run: string): string[] =>
  listSamples(db, run)
    .map(({ epoch, prompt }) => `${epoch}: ${prompt.slice(run.length + 1)}`)
    .sort();

const add = (run: string, text: string) =>
  sendRequest(client, db, { run, verb: 'prompts', edit: { add: { text, negative: '', seed: 7 } } });

const make = (run: string, epoch: number, prompt: number) =>
  sendRequest(client, db, { run, verb: 'make', sample: { epoch, prompt } });

async function settled({ id }: RequestRow): Promise<RequestRow> {
  await until(() => {
    const { done_at: done, refused } = getRequest(db, id);
    return done !== null || refused !== null;
  }, 'the sample');
  return getRequest(db, id);
}

test('a prompt that comes while a run goes on is sampled from then on, and by request before', async () => {
  const run = await start({ evaluates: true, ms: 30 }, { prompts });
  await until(() => steps(run).length > 22, 'the second epoch');
  await add(run, 'a dog');
  const asked = await make(run, 1, 1);
  await reaches(run, 'done');
  expect((await settled(asked)).refused).toBeNull();
  expect(sampled(run)).toEqual(['0: 0', '1: 0', '1: 1', '2: 0', '2: 1']);
  expect(steps(run)).toEqual(upTo(40));
  expect(eventsAfter(db, 0, run).map(({ kind }) => kind)).not.toContain('difference');
});

test('one that is dropped keeps its pictures; a run that is done makes a sample and is done as before', async () => {
  const run = await start({ evaluates: true }, { prompts });
  await reaches(run, 'done');
  const bird = { text: 'a bird', negative: 'cage', seed: 9 };
  await sendRequest(client, db, { run, verb: 'prompts', edit: { drop: 0, add: bird } });
  expect(promptsOf(db, run)).toMatchObject([
    { text: 'a cat', dropped_at: expect.any(Number) },
    { ...bird, dropped_at: null },
  ]);
  const { ended_at, final_checkpoint, epoch } = getRun(db, run);
  const asked = [await make(run, 0, 1), await make(run, 2, 1)];
  for (const one of asked) expect((await settled(one)).refused).toBeNull();
  await reaches(run, 'done');
  expect(sampled(run)).toEqual(['0: 0', '0: 1', '1: 0', '2: 0', '2: 1']);
  expect(getRun(db, run)).toMatchObject({ ended_at, final_checkpoint, epoch });
  await sendRequest(client, db, { run, verb: 'extend', epochs: 1 });
  await until(() => steps(run).length === 60, 'the third epoch');
  await reaches(run, 'done');
  expect(sampled(run).filter((one) => one.startsWith('3'))).toEqual(['3: 1']);
});

test('a run that was stopped makes a sample, trains nothing and is stopped again', async () => {
  const run = await start({ evaluates: true, ms: 20 }, { prompts });
  await until(() => steps(run).length > 22, 'the second epoch');
  await sendRequest(client, db, { run, verb: 'stop' });
  await reaches(run, 'stopped');
  const before = steps(run).length;
  await add(run, 'a dog');
  expect((await settled(await make(run, 1, 1))).refused).toBeNull();
  await reaches(run, 'stopped');
  expect(steps(run).length).toBe(before);
  await sendRequest(client, db, { run, verb: 'resume' });
  await reaches(run, 'done');
  expect(steps(run)).toEqual(upTo(40));
});

test('what can not be made is refused with the reason', async () => {
  const run = await start({ evaluates: true, skips: 1 }, { prompts, epochs: 1 });
  await reaches(run, 'done');
  const refusal = (asked: Promise<unknown>): Promise<unknown> =>
    asked.catch((error: Error) => error.message);
  expect(await refusal(make(run, 1, 0))).toContain('is there already');
  expect(await refusal(make(run, 1, 5))).toContain('never had a prompt 5');
  expect(await refusal(make(run, 2, 0))).toContain('epoch 2 is not trained yet');
  await add(run, 'a dog');
  expect(await refusal(add(run, 'a dog'))).toContain('with this very prompt already');
  expect((await settled(await make(run, 1, 1))).refused).toBe('the trainer did not make it');
  await reaches(run, 'done');
  db.raw.prepare(`UPDATE checkpoint SET state = 'deleted' WHERE run = ?`).run(run);
  await add(run, 'a bird');
  expect(await refusal(make(run, 1, 2))).toContain('checkpoint of epoch 1 is no longer kept');
});
