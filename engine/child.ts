import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from '../db/connection.ts';
import { processStart, readProcesses, writeProcess } from '../db/processes.ts';
import { TillerError } from '../recipes/errors.ts';
import { isAnswering } from './health.ts';
import type { Healthy } from './keeper.ts';
import { logEnd, tail, withLog } from './logs.ts';
import { endGroup, exitOf } from './start.ts';

export interface ChildOptions {
  role: 'worker' | 'dashboard';
  /** A file that Node runs. */
  program: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
  restarts: number;
  signal: AbortSignal;
  /** How long it may take to become healthy, in ms. */
  within?: number;
}

/**
 * Starts one of our own processes and waits until it has written `healthy` into its row. It leads a
 * process group of its own, so that Ctrl-C reaches only us; its standard input is a pipe that ends
 * with us, which tells it to leave. Errors: PROCESS_FAILED.
 */
export async function startChild(db: Db, options: ChildOptions): Promise<Healthy> {
  const { role, program, env, logFile, restarts, signal, within = 60_000 } = options;
  const logFrom = logEnd(logFile);
  const child = withLog(logFile, (fd) =>
    spawn(process.execPath, [program], { detached: true, stdio: ['pipe', fd, fd, 'ipc'], env }),
  );
  const exited = exitOf(child);
  let beats = false;
  child.on('message', () => (beats = true));
  const hasBeaten = async (): Promise<boolean> => {
    const before = beats;
    beats = false;
    return before;
  };
  child.stdin?.on('error', () => {}); // it ended first: `exited` tells
  const { pid } = child;
  const stop = ({ within }: { within: number }) =>
    pid === undefined ? exited : endGroup({ pid, exited }, within);
  const ended = new AbortController();
  void exited.then((how) => ended.abort(how));

  if (pid !== undefined) {
    const start = processStart(pid) ?? ''; // none: it has ended already
    writeProcess(db, role, {
      pid,
      process_start: start,
      address: null,
      state: 'starting',
      restarts,
    });
  }
  const deadline = Date.now() + within;
  while (!ended.signal.aborted && Date.now() < deadline && !signal.aborted) {
    const row = readProcesses(db).find((row) => row.role === role);
    if (pid !== undefined && row?.pid === pid && row.state === 'healthy') {
      const { address } = row;
      const answers =
        address === null ? hasBeaten : (within: number) => isAnswering(address, within);
      return { pid, exited, answers, stop };
    }
    await sleep(25);
  }
  const how = ended.signal.aborted ? await exited : undefined;
  await stop({ within: signal.aborted ? 5_000 : 0 });
  signal.throwIfAborted();
  const said = tail(logFile, logFrom).at(-1);
  const what =
    how === undefined
      ? `is not healthy after ${within / 1000} s`
      : `ended with ${how.signal ?? how.code} before it was healthy`;
  throw new TillerError(
    'PROCESS_FAILED',
    `The ${role} ${what}${said ? `: ${said.slice(-400)}` : ''}`,
    {
      hint: `Its log is ${logFile}.`,
    },
  );
}
