/** What an export says while it goes on, and what it came to. */
import type { Exported, ExporterOptions } from '../activities/export/run-exporter.ts';
import { print, printJson } from './output.ts';

const PHASES: Record<string, string> = {
  write: 'writing',
  verify: 'a picture without and with it',
  extract: 'the difference, matrix by matrix',
};

/** Ctrl-C ends the exporter, which leaves nothing behind. Progress goes to stderr, if that is a terminal. */
export async function withExporter<Result>(
  use: (options: ExporterOptions) => Promise<Result>,
): Promise<Result> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  const bar = (text: string) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  };
  try {
    return await use({
      env: process.env,
      signal: stop.signal,
      log: (line) => process.stderr.write(`${line}\n`),
      onEvent: (event) => {
        if (event.event === 'progress') {
          const { phase, done, total } = event;
          const share = total > 1 ? `, ${Math.floor((100 * done) / total)} %` : '';
          bar(`${PHASES[phase] ?? phase}${share}`);
        } else if (event.event === 'warning') {
          bar('');
          process.stderr.write(`${event.message}\n`);
        }
      },
    });
  } finally {
    bar('');
    process.off('SIGINT', abort);
    process.off('SIGTERM', abort);
  }
}

export function printExported(exported: Exported, json: boolean | undefined): void {
  const { files, difference, energy } = exported;
  if (json === true) return printJson({ files, difference, energy });
  for (const { path, bytes } of files) print(`${path}  ${size(bytes)}`);
  if (energy !== undefined) print(`keeps ${(100 * energy).toFixed(1)} % of the difference`);
  if (difference !== undefined)
    print(`changes a picture by ${difference.toFixed(2)} of 255 levels on average`);
}

const size = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
