import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';

/** Long enough for any run; Temporal's development server forgets after a day. */
const KEEP_SECONDS = 10 * 365 * 24 * 3600;

async function withConnection<Result>(
  address: string,
  use: (connection: Connection) => Promise<Result>,
  within = 5_000,
): Promise<Result> {
  const connection = Connection.lazy({ address, connectTimeout: '2s' });
  try {
    return await connection.withDeadline(Date.now() + within, () => use(connection));
  } finally {
    await connection.close();
  }
}

/** Whether an engine says, in so many ms, that it serves. */
export async function isServing(address: string, within?: number): Promise<boolean> {
  const ask = async ({ healthService }: Connection): Promise<boolean> => {
    const service = 'temporal.api.workflowservice.v1.WorkflowService';
    const { status } = await healthService.check({ service });
    return status === 1; // SERVING
  };
  try {
    return await withConnection(address, ask, within);
  } catch {
    return false; // whatever it was: not serving
  }
}

/** Whether a dashboard says anything, in so many ms; also that it can't read the record, which no restart mends. */
export async function isAnswering(address: string, within: number): Promise<boolean> {
  try {
    const response = await fetch(`http://${address}/healthz`, {
      signal: AbortSignal.timeout(within),
    });
    await response.arrayBuffer(); // frees the connection
    return true;
  } catch {
    return false; // whatever it was: no answer
  }
}

/** Waits for a server that is being started; gives up silently: connecting then says what is wrong. */
export async function untilServing(address: string, within = 50_000): Promise<void> {
  for (const end = Date.now() + within; Date.now() < end; await sleep(50)) {
    if (await isServing(address)) return;
  }
}

/** Raises how long closed workflows are kept. */
export function keepHistory(address: string, namespace = 'default'): Promise<void> {
  return withConnection(address, async ({ workflowService }) => {
    const { config } = await workflowService.describeNamespace({ namespace });
    if (Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) >= KEEP_SECONDS) return;
    await workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: { seconds: KEEP_SECONDS as never } },
    });
  });
}
