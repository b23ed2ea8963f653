import { InvalidArgumentError } from 'commander';

/** A run, or an epoch of it: `emoji`, `emoji@10`. */
export interface RunAddress {
  run: string;
  epoch?: number;
}

export function parseAddress(text: string): RunAddress {
  const [, run, epoch] = /^([^@\s]+)(?:@(\d{1,6}))?$/.exec(text) ?? [];
  if (run === undefined) {
    throw new InvalidArgumentError('Write it as RUN or RUN@EPOCH, such as emoji@10.');
  }
  return epoch === undefined ? { run } : { run, epoch: Number(epoch) };
}

export function parseEpochAddress(text: string): Required<RunAddress> {
  const { run, epoch } = parseAddress(text);
  if (epoch === undefined) throw new InvalidArgumentError('Name the epoch, such as emoji@10.');
  return { run, epoch };
}

export function parsePositive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Give an integer, 1 or more.');
  return value;
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('Give a port, 0 to 65535.');
  return port;
}
