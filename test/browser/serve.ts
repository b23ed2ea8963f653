/** Serves the pages of a home without an engine, for tests and screenshots. */
import { homePaths } from '../../db/home.ts';
import type { Db } from '../../db/connection.ts';
import { createServer } from '../../dashboards/app.ts';
import { buildAssets } from '../../dashboards/assets.ts';
import { listen, portOf } from '../../dashboards/listen.ts';
import type { Ask, SendRequest } from '../../dashboards/routes/deps.ts';

export interface Served {
  readonly address: string;
  /** What was asked of runs. */
  readonly asked: Ask[];
  close(): Promise<void>;
}

/** `sendRequest` stands in for the engine, at the edge of the machine; left out, it only records. */
export const servePages = async (
  db: Db,
  home: string,
  sendRequest: SendRequest = async () => ({ id: 'fake' }),
  port = 0,
): Promise<Served> => {
  const asked: Ask[] = [];
  const server = createServer({
    db,
    artifacts: homePaths(home).artifacts,
    runs: homePaths(home).runs,
    assets: await buildAssets(),
    sendRequest: (ask) => {
      asked.push(ask);
      return sendRequest(ask);
    },
  });
  const socket = await listen(server.app.fetch, port);
  return {
    address: `http://127.0.0.1:${portOf(socket)}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close();
        socket.close(() => resolve());
        if ('closeAllConnections' in socket) socket.closeAllConnections();
      }),
  };
};
