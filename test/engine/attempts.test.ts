/** Work that the engine gave to a worker which was killed before it wrote anything down. */
import { expect, test } from '@jest/globals';
import { hostname } from 'node:os';
import { NativeConnection, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { runFields } from '../../cli/run-fields.ts';
import { createRun } from '../../db/runs.ts';
import { failLostAttempts, workerIdentity } from '../../engine/attempts.ts';
import { workflowBundle } from '../../engine/bundle.ts';
import { engineAddress } from '../../engine/client.ts';
import { workflowIdOf } from '../../engine/names.ts';
import { parseRecipe } from '../../recipes/parse.ts';
import { useRuns } from '../workflows/use-runs.ts';

const QUEUE = 'nobody-does-this';
const runs = useRuns();
/** A run whose first activity was given to a worker of that name. @returns what is under way of it */
async function givenTo(identity: string) {
  const { db, client } = runs.opened();
  const { id } = createRun(db, runFields(parseRecipe('data: {folder: /x}', { folder: '/' })));
  const workflowId = workflowIdOf(id);
  await client.workflow.start('trainRun', { workflowId, taskQueue: QUEUE, args: [{ run: id }] });
  const { namespace } = engineAddress(db, {});
  const queue = { namespace, taskQueue: { name: QUEUE }, identity };
  const poll = () =>
    client.withDeadline(Date.now() + 60_000, () =>
      client.workflowService.pollActivityTaskQueue(queue),
    );
  while (!(await poll()).activityId); // an empty answer: nothing came so far
  return async () => {
    const { raw } = await client.workflow.getHandle(workflowId).describe();
    return raw.pendingActivities?.[0];
  };
}

test('of a dead worker is given to the next one at once; of a living one, or another host, is left alone', async () => {
  const { db, client } = runs.opened();
  const { connection: options, namespace } = engineAddress(db, {});
  const connection = await NativeConnection.connect(options);
  const codePath = await workflowBundle(process.env);
  const place = { connection, namespace, taskQueue: QUEUE };
  // It decides what is to be done, and does nothing of it.
  const worker = await Worker.create({ ...place, workflowBundle: { codePath } });
  await worker.runUntil(async () => {
    const lost = await givenTo(`tiller ${hostname()} 1 another time`);
    const mine = await givenTo(workerIdentity());
    const other = await givenTo('tiller elsewhere 1 another time');
    for (const pending of [lost, mine, other])
      expect(await pending()).toMatchObject({ attempt: 1 });
    await failLostAttempts(db, client, pino({ level: 'silent' }));
    expect(await lost()).toMatchObject({ attempt: 2, lastFailure: { message: 'its worker died' } });
    for (const pending of [mine, other]) {
      expect(await pending()).toMatchObject({ attempt: 1, lastFailure: null });
    }
  });
  await connection.close();
}, 120_000);
