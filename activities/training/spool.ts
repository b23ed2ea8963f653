/** Reads a trainer's spool: whole lines from a byte offset on, each with the offset of its end. */
import { open, type FileHandle } from 'node:fs/promises';
import { trainerEvent, type EventOf, type TrainerEvent } from '../../native/protocol.ts';

/** One read. Also the longest line by far: the protocol allows 64 KiB. */
const CHUNK = 1 << 20;
const NEWLINE = 0x0a;

export interface SpoolLine {
  /** undefined: a line that is not an event of this protocol, kept for the log */
  event: TrainerEvent | undefined;
  text: string;
  /** bytes from the start of the file to behind the line */
  end: number;
}

export class Spool {
  private readonly file: FileHandle;
  private offset: number;

  private constructor(file: FileHandle, offset: number) {
    this.file = file;
    this.offset = offset;
  }

  static async open(path: string, offset: number): Promise<Spool> {
    return new Spool(await open(path, 'r'), offset);
  }

  /** The whole lines that came since, at most a chunk of them. A line under way waits for its end. */
  async read(): Promise<SpoolLine[]> {
    const buffer = Buffer.allocUnsafe(CHUNK);
    const { bytesRead } = await this.file.read(buffer, 0, CHUNK, this.offset);
    const lines: SpoolLine[] = [];
    let start = 0;
    const filled = buffer.subarray(0, bytesRead);
    for (;;) {
      const newline = filled.indexOf(NEWLINE, start);
      if (newline < 0) break;
      const text = buffer.toString('utf8', start, newline);
      start = newline + 1;
      if (text.trim() !== '') {
        lines.push({ event: parseEvent(text), text, end: this.offset + start });
      }
    }
    if (start === 0 && bytesRead === CHUNK) {
      // No trainer of the protocol writes this: skip it, or nothing would ever be read again.
      start = bytesRead;
      lines.push({
        event: undefined,
        text: buffer.toString('utf8', 0, 200),
        end: this.offset + start,
      });
    }
    this.offset += start;
    return lines;
  }

  /** When the trainer said its newest word, in ms since 1970. */
  async writtenAt(): Promise<number> {
    return (await this.file.stat()).mtimeMs;
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

export function parseEvent(text: string): TrainerEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  // By far the most lines: those that are plainly right need no closer look.
  if (isPlainStep(value)) return value;
  const parsed = trainerEvent.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** A step line without a NaN, an infinity or anything unusual; it holds for one that zod takes as it is. */
function isPlainStep(value: unknown): value is EventOf<'step'> {
  if (typeof value !== 'object' || value === null) return false;
  const line = value as Record<string, unknown>;
  return (
    line['event'] === 'step' &&
    isCount(line['step']) &&
    isCount(line['epoch']) &&
    Number.isFinite(line['loss']) &&
    (line['lr'] === undefined || Number.isFinite(line['lr'])) &&
    (line['grad_norm'] === undefined || Number.isFinite(line['grad_norm'])) &&
    (line['ms'] === undefined || Number.isFinite(line['ms'])) &&
    (line['seen'] === undefined || isCount(line['seen'])) &&
    (line['items_hash'] === undefined || typeof line['items_hash'] === 'string')
  );
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
