/** The dashboard's process: opens the record, listens on loopback, says that it is ready. */
import { openRecord } from '../db/connection.ts';
import { homePaths, tillerHome } from '../db/home.ts';
import { createLog } from '../db/log.ts';
import { processStart, writeProcess } from '../db/processes.ts';
import { TillerError } from '../recipes/errors.ts';
import { createServer } from './app.ts';
import { buildAssets } from './assets.ts';
import { ADDRESS, listen, portOf } from './listen.ts';
import type { SendRequest } from './routes/deps.ts';

const PORT = 7420;

const main = async (): Promise<void> => {
  const { env } = process;
  const log = createLog('dashboard', { level: env['TILLER_LOG_LEVEL'] });
  const paths = homePaths(tillerHome(env));
  const db = openRecord(paths.record);

  // A person asks seldom: the engine's client is loaded at the first request (it is large), and each
  // request has its own connection, as the engine may have come and gone.
  const ask: SendRequest = async (asked) => {
    const { connectEngine, sendRequest } = await import('../engine/client.ts');
    const client = await connectEngine(db, env);
    try {
      return await sendRequest(client, db, asked);
    } finally {
      await client.connection.close();
    }
  };

  const hosts = (env['TILLER_HOSTS'] ?? '').split(',').map((host) => host.trim().toLowerCase());
  const { app, close } = createServer({
    db,
    artifacts: paths.artifacts,
    runs: paths.runs,
    assets: await buildAssets(),
    sendRequest: ask,
    hosts: hosts.filter((host) => host !== ''),
    onError: (error) => log.error(error, 'a page failed'),
  });
  const server = await listen(app.fetch, Number(env['TILLER_PORT'] ?? PORT));
  const address = `${ADDRESS}:${portOf(server)}`;
  writeProcess(db, 'dashboard', {
    pid: process.pid,
    process_start: processStart(process.pid) ?? '',
    state: 'healthy',
    address,
  });
  log.info({ address: `http://${address}/` }, 'the dashboard is ready');

  const leave = (): void => {
    close();
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
    db.close();
    process.exit(0);
  };
  process.once('SIGTERM', leave);
  process.once('SIGINT', leave);
  // Whoever started us is gone.
  process.stdin.once('end', leave).resume();
};

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${error instanceof TillerError ? error.line : String(error)}\n`);
    process.exit(1);
  }
}
