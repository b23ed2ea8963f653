/** What the end of a trainer means: the table of exit codes in native/PROTOCOL.md. */
import { EXIT, type EventOf } from '../../native/protocol.ts';
import { errorCatalogue, TillerError, type ErrorCode } from '../../recipes/errors.ts';
import type { Exit } from './trainer-process.ts';

/** All that is known of a trainer that is gone. */
export interface Outcome {
  exit: Exit;
  done: EventOf<'done'> | undefined;
  error: EventOf<'error'> | undefined;
  /** whether it got anywhere: a step or a checkpoint */
  progressed: boolean;
}

export type Verdict =
  /** did its job, or stopped because it was asked to */
  | { kind: 'finished' | 'stopped' }
  /** was ended by something outside: start it again */
  | { kind: 'interrupted'; why: string }
  /** said what is wrong */
  | { kind: 'failed'; error: TillerError };

const BY_EXIT: Record<number, ErrorCode> = {
  [EXIT.badRecipe]: 'TRAINER_BAD_RECIPE',
  [EXIT.badData]: 'TRAINER_BAD_DATA',
  [EXIT.bug]: 'TRAINER_BUG',
  [EXIT.disk]: 'TRAINER_DISK',
  [EXIT.tryAgain]: 'TRAINER_BUSY',
};

/** Signals that a program raises by its own fault. */
const FAULTS = new Set(['SIGSEGV', 'SIGABRT', 'SIGILL', 'SIGFPE', 'SIGBUS', 'SIGSYS', 'SIGTRAP']);

/** @param asked what the trainer was asked for: to stop at a checkpoint, or to be ended as it is */
export function judge(
  { exit, done, error }: Outcome,
  asked: 'saved' | 'now' | undefined,
  stderrFile: string,
): Verdict {
  if (done?.reason === 'finished') return { kind: 'finished' };
  if (done?.reason === 'stopped' && asked !== undefined) return { kind: 'stopped' };
  if (asked === 'now' && done === undefined && error === undefined) return { kind: 'stopped' };
  if (done !== undefined) {
    const why =
      done.reason === 'orphaned'
        ? 'nobody followed the trainer'
        : 'the trainer was told to stop from outside';
    return { kind: 'interrupted', why };
  }
  const code = exit.code ?? error?.exit ?? null;
  if (error !== undefined && code !== null) return { kind: 'failed', error: said(error, code) };
  if (exit.signal !== null && FAULTS.has(exit.signal)) {
    return { kind: 'failed', error: crash(`ended by ${exit.signal}`, stderrFile) };
  }
  if (code === null)
    return {
      kind: 'interrupted',
      why: `the trainer was killed${exit.signal === null ? '' : ` (${exit.signal})`}`,
    };
  if (code === 0) return { kind: 'failed', error: silent(stderrFile) };
  const kind = BY_EXIT[code] ?? 'TRAINER_BUG';
  return { kind: 'failed', error: crash(`ended with exit code ${code}`, stderrFile, kind) };
}

function said({ code, message, hint }: EventOf<'error'>, exit: number): TillerError {
  const known = Object.hasOwn(errorCatalogue, code) ? (code as ErrorCode) : undefined;
  const text = known === undefined ? `${message} (the trainer's code ${code})` : message;
  return new TillerError(
    known ?? BY_EXIT[exit] ?? 'TRAINER_BUG',
    text,
    hint === undefined ? {} : { hint },
  );
}

const crash = (how: string, stderrFile: string, code: ErrorCode = 'TRAINER_BUG'): TillerError =>
  new TillerError(code, `The trainer ${how}`, { hint: `Its last words are in ${stderrFile}.` });

const silent = (stderrFile: string): TillerError =>
  new TillerError('TRAINER_PROTOCOL', 'The trainer ended without saying that it is done', {
    hint: `It must write a "done" event (native/PROTOCOL.md). Its last words are in ${stderrFile}.`,
  });
