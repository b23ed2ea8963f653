/** Runs `tiller-export`, compiled when needed, and gives what it wrote or its error as one of ours. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { buildNative } from '../../native/build.ts';
import { exportEvent, EXIT, type ExportEvent, type ExportJob } from '../../native/protocol.ts';
import { errorCatalogue, type ErrorCode, TillerError } from '../../recipes/errors.ts';

export type Exported = Extract<ExportEvent, { event: 'done' }>;

export interface ExporterOptions {
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  /** What it does, such as compiling. */
  log?: (line: string) => void;
  /** Progress and warnings. */
  onEvent?: (event: ExportEvent) => void;
}

const BY_EXIT: Record<number, ErrorCode> = {
  [EXIT.badData]: 'TRAINER_BAD_DATA',
  [EXIT.disk]: 'TRAINER_DISK',
  [EXIT.tryAgain]: 'TRAINER_BUSY',
};

/** Errors: those that `tiller-export` says, by their own codes. */
export async function runExporter(job: ExportJob, options: ExporterOptions): Promise<Exported> {
  const { env, signal, log, onEvent } = options;
  const cancel = signal === undefined ? {} : { signal };
  const { path } = await buildNative('tiller-export', {
    env,
    ...cancel,
    ...(log === undefined ? {} : { log }),
  });
  const folder = await mkdtemp(join(tmpdir(), 'tiller-export-'));
  try {
    const file = join(folder, 'job.json');
    await writeFile(file, JSON.stringify(job));
    const child = execa(path, [file], {
      env,
      extendEnv: false,
      stdin: 'ignore',
      reject: false,
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    let done: Exported | undefined;
    let error: TillerError | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      const event = parseEvent(line);
      if (event === undefined) continue;
      if (event.event === 'done') done = event;
      else if (event.event === 'error') error = said(event);
      else onEvent?.(event);
    }
    const { exitCode, signal: killed, stderr } = await child;
    signal?.throwIfAborted();
    if (done !== undefined && exitCode === 0) return done;
    throw error ?? crash(exitCode, killed, stderr);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function parseEvent(line: string): ExportEvent | undefined {
  try {
    return exportEvent.safeParse(JSON.parse(line)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // half a line of one that was killed
    throw error;
  }
}

function said({ code, message, hint, exit }: Extract<ExportEvent, { event: 'error' }>) {
  const known = Object.hasOwn(errorCatalogue, code) ? (code as ErrorCode) : undefined;
  const kind = known ?? BY_EXIT[exit ?? EXIT.bug] ?? 'TRAINER_BUG';
  return new TillerError(kind, message, hint === undefined ? {} : { hint });
}

const crash = (exit: number | undefined, signal: string | undefined, stderr: string) =>
  new TillerError(
    'TRAINER_BUG',
    `tiller-export ended ${signal === undefined ? `with exit code ${exit}` : `by ${signal}`}`,
    { hint: stderr.trim().split('\n').at(-1) || 'It said nothing.' },
  );
