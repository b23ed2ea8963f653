import type { Logger } from 'pino';
import type { Db } from '../db/connection.ts';

/** What every activity is given by the worker that hosts it. */
export interface Deps {
  db: Db;
  /** $TILLER_HOME */
  home: string;
  env: NodeJS.ProcessEnv;
  log: Logger;
  /** `pid:process start` of this worker, written into leases */
  owner: string;
}
