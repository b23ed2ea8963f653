/** How an error becomes a failure of the engine's: whether it is tried again, and when. */
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { TillerError, type ErrorCode } from '../recipes/errors.ts';

/** Errors that waiting can mend, and how long to wait. */
const RETRY_AFTER: Partial<Record<ErrorCode, string>> = {
  DISK_FULL: '3s',
  TRAINER_DISK: '3s',
  TRAINER_BUSY: '20s',
  RECORD_BUSY: '1s',
  LEASE_LOST: '1s',
};

/** Attempts that an error nobody foresaw is given, in case it was the moment's. */
const TRIES_AFTER_A_BUG = 5;

export function toFailure(error: unknown): unknown {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  const known = named(error);
  if (!(known instanceof TillerError)) return unforeseen(error);
  const delay = RETRY_AFTER[known.code];
  return ApplicationFailure.create({
    message: known.hint === undefined ? known.message : `${known.message}. ${known.hint}`,
    type: known.code,
    nonRetryable: delay === undefined,
    ...(delay === undefined ? {} : { nextRetryDelay: delay }),
    cause: known,
  });
}

function unforeseen(error: unknown): ApplicationFailure {
  const message = error instanceof Error ? error.message : String(error);
  return ApplicationFailure.create({
    message,
    type: 'INTERNAL',
    nonRetryable: Context.current().info.attempt >= TRIES_AFTER_A_BUG,
    nextRetryDelay: '1s',
    ...(error instanceof Error ? { cause: error } : {}),
  });
}

/** A full disk by our own name, wherever it was met. */
export const named = (error: unknown): unknown =>
  isDiskFull(error) && !(error instanceof TillerError) ? diskFull('the record', error) : error;

/** Whether the disk that holds the record or the run is full. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return ['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'DISK_FULL'].includes(String(code));
}

export function diskFull(where: string, cause: unknown): TillerError {
  return new TillerError('DISK_FULL', `No space is left for ${where}`, {
    hint: 'Free some space: the run goes on by itself from its last good checkpoint.',
    cause,
  });
}
