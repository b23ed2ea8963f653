/** The worker's process: recovers what its predecessor left, then does what workflows ask for. */
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActivities } from '../activities/index.ts';
import { createSweep } from '../activities/run/delete-run.ts';
import { openRecord } from '../db/connection.ts';
import { homePaths, tillerHome } from '../db/home.ts';
import { createLog } from '../db/log.ts';
import { processStart, writeProcess } from '../db/processes.ts';
import { TillerError } from '../recipes/errors.ts';
import {
  attemptInterceptor,
  failDeadAttempts,
  failLostAttempts,
  workerIdentity,
} from './attempts.ts';
import { workflowBundle } from './bundle.ts';
import { connectEngine, engineAddress } from './client.ts';
import { untilServing } from './health.ts';
import { beat } from './heart.ts';
import { TASK_QUEUE } from './names.ts';
import { outsideEngine } from './outside.ts';
import { reconcileRuns } from './reconcile.ts';

const { env } = process;
const log = createLog('worker', { level: env['TILLER_LOG_LEVEL'] });
// The supervisor tells a person the last line.
process.once('uncaughtException', (error) => {
  log.fatal(error);
  process.stderr.write(`${error instanceof TillerError ? error.line : String(error)}\n`);
  process.exit(1);
});
const home = tillerHome(env);
const db = openRecord(homePaths(home).record, { durable: true });
const start = processStart(process.pid) ?? '';

// Whoever started us is gone: leave at once, and leave the trainers alone. They go on.
process.stdin.on('end', () => process.exit(0)).resume();
beat();

Runtime.install({ shutdownSignals: ['SIGTERM', 'SIGINT'] });

const { connection: options, namespace } = engineAddress(db, env);
// The supervisor starts both at once: what this process needs for itself is loaded while the engine opens its database.
const codePath = await workflowBundle(env);
if (outsideEngine(env) === undefined) await untilServing(options.address);
const client = await connectEngine(db, env);
const failed = await failDeadAttempts(db, client, log);
if (failed > 0) log.info({ failed }, 'attempts of a dead worker were given back to the engine');
await failLostAttempts(db, client, log);

const connection = await NativeConnection.connect(options);
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue: TASK_QUEUE,
  identity: workerIdentity(),
  workflowBundle: { codePath },
  activities: createActivities({ db, home, env, log, owner: `${process.pid}:${start}` }),
  interceptors: { activity: [attemptInterceptor(db)] },
  // Every waiting run has an activity open; the device is what limits them.
  maxConcurrentActivityTaskExecutions: 1_000,
  maxHeartbeatThrottleInterval: '1s',
  defaultHeartbeatThrottleInterval: '1s',
  // What the engine kept for a worker that has died goes to this one soon, and not after 10 s.
  stickyQueueScheduleToStartTimeout: '500ms',
  // Activities are told to leave at once; they stop their trainers at a checkpoint and only then end.
  shutdownGraceTime: 0,
});
writeProcess(db, 'worker', {
  pid: process.pid,
  process_start: start,
  state: 'healthy',
  address: null,
});
await reconcileRuns(db, client, log);
createSweep({ db, home })().catch((error: unknown) =>
  log.error({ err: error }, 'what is left of deleted runs could not be removed'),
);
await worker.run();
await connection.close();
await client.connection.close();
db.close();
// stdin keeps the process alive otherwise.
process.exit(0);
