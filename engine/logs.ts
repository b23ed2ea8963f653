import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { dirname } from 'node:path';

const LIMIT_BYTES = 20 * 2 ** 20;

/** Opens a log for a child to write to by itself, so that it can outlive us. */
export function withLog<Result>(file: string, use: (fd: number) => Result): Result {
  mkdirSync(dirname(file), { recursive: true });
  rotate(file);
  const fd = openSync(file, 'a');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Keeps a log below a limit: what is in it moves to `<file>.1`. By copy and truncation, since its
 * writers hold it open (for appending); a line that is written in between may be lost.
 */
export function rotate(file: string, limit = LIMIT_BYTES): void {
  if (sizeOf(file) < limit) return;
  copyFileSync(file, `${file}.1`);
  truncateSync(file);
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** The last lines of a log, from an offset on: what a child said that ended. */
export function tail(file: string, from = 0, lines = 5): string[] {
  if (sizeOf(file) === 0) return [];
  const text = readFileSync(file).subarray(from).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-lines);
}

/** How long a log is now. */
export const logEnd = sizeOf;
