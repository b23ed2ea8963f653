/** A log that ends nobody: with a full disk its lines are lost, and whoever wrote them goes on. */
import { pino, type Logger } from 'pino';

export interface LogOptions {
  /** left out: standard output */
  file?: string;
  level?: string | undefined;
}

export function createLog(name: string, { file, level = 'info' }: LogOptions = {}): Logger {
  const destination = pino.destination({ dest: file ?? 1, sync: true });
  destination.on('error', lost);
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream.listeners('error').includes(lost)) stream.on('error', lost);
  }
  return pino({ name, level }, destination);
}

/** There is no place left to tell it to. */
function lost(): void {}
