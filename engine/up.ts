import type { EngineProgress } from './find.ts';
import type { Patience } from './watchdog.ts';

export type Role = 'engine' | 'worker' | 'dashboard';

export interface UpOptions {
  /** $TILLER_HOME */
  home: string;
  env?: NodeJS.ProcessEnv;
  /** Free ones are chosen where none is given. Temporal's web page is served only with `ui`. */
  ports?: { dashboard?: number; engine?: number; ui?: number };
  ui?: boolean;
  /** Lines for a person. All is also in logs/supervisor.log. */
  say?: (line: string) => void;
  /** While the engine is being fetched or built. */
  progress?: (progress: EngineProgress) => void;
  /** For tests: other files than the worker's and the dashboard's. */
  programs?: { worker: string; dashboard: string };
  /** How long the trainers may take to save at a stop, in ms. */
  saveWithin?: number;
  /** With a process that doesn't answer. */
  patience?: Patience;
}

export interface Up {
  /**
   * host:port, as soon as it answers: to find the engine may take minutes. Rejects, all stopped, when
   * it can't be started (PORT_IN_USE, PROCESS_FAILED, USAGE) or all was stopped before.
   */
  dashboard: Promise<string>;
  /** Engine and worker are healthy. Rejects likewise, also with the errors of findEngine and startEngine. */
  ready: Promise<{ engine: string; ui?: string }>;
  /** All has stopped. */
  done: Promise<void>;
  /** Stops all: the trainers at a checkpoint first, then the rest. */
  stop(): Promise<void>;
  /** Ends all at once. The trainers save and leave when they see that nobody follows them. */
  force(): void;
}

/**
 * Ctrl-C, SIGTERM and a closed terminal stop an `up` at a checkpoint; Ctrl-C then ends it at once.
 * SIGTERM doesn't, nor does a closed terminal: neither says that somebody lost patience, and both may
 * come twice. Returns how to stop listening.
 */
export function stopOnSignals(up: Up, say: (line: string) => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let asked = false;
  let forced = false;
  const listener = (signal: NodeJS.Signals): void => {
    if (!asked) {
      asked = true;
      say('stopping at a checkpoint (Ctrl-C again ends all at once)');
      void up.stop();
    } else if (signal === 'SIGINT' && !forced) {
      forced = true;
      say('ending all at once');
      up.force();
    }
  };
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
  };
}
