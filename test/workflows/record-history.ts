/**
 * `node test/workflows/record-history.ts VERSION`: records the history of a run that was paused, resumed
 * and sampled into histories/VERSION.json. One is kept for every released version of the workflow;
 * replay.test.ts replays them all.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { createRun, getRun } from '../../db/runs.ts';
import { sleep } from '../../activities/training/trainer-process.ts';
import { connectEngine, sendRequest, startRun } from '../../engine/client.ts';
import { workflowIdOf } from '../../engine/names.ts';
import { recipeSchema } from '../../recipes/schema.ts';
import { startUp } from '../chaos/up.ts';

const version = process.argv[2];
if (version === undefined)
  throw new Error('which version? node test/workflows/record-history.ts VERSION');
const here = import.meta.dirname;
const repository = resolve(here, '..', '..');
const home = await mkdtemp(join(tmpdir(), 'tiller-history-'));
const env = { ...process.env, TILLER_HOME: home };
const up = await startUp(home, env);
await up.ready();
const db = openRecord(homePaths(home).record);
const client = await connectEngine(db, env);

const trainer = join(here, '..', 'fixtures', 'trainers', 'knobs.mjs');
const recipe = recipeSchema.parse({
  trainer: { command: ['node', trainer] },
  settings: { ms: 60, evaluates: true, full_at: 27, save_every: 5 },
  train: { epochs: 3, steps_per_epoch: 20 },
});
const fields = { name: 'history', recipe, recipeHash: 'hash', trainer: 'knobs', device: 'cpu' };
const { id: run } = createRun(db, { ...fields, threads: 1, priority: 3, epochs: 3 });
await startRun(client, run);
const reaches = async (done: () => boolean) => {
  while (!done()) await sleep(20);
};
await reaches(() => getRun(db, run).step > 3);
await sendRequest(client, db, { run, verb: 'save' });
await sendRequest(client, db, { run, verb: 'pause' });
await reaches(() => getRun(db, run).state === 'paused');
await sendRequest(client, db, { run, verb: 'resume' });
await reaches(() => getRun(db, run).state === 'done');

const handle = client.workflow.getHandle(workflowIdOf(run));
await handle.result();
const history = await handle.fetchHistory();
const json = historyToJSON(history);
// Paths of the machine that recorded it don't matter to the replay.
await writeFile(
  join(here, 'histories', `${version}.json`),
  json.replaceAll(home, '/home').replaceAll(repository, '/tiller').replaceAll(hostname(), 'host'),
);
await client.connection.close();
db.close();
await up.stop();
await rm(home, { recursive: true, force: true });
