/** How a command ends when something is wrong: one line on stderr, and an exit code. */
import { CommanderError } from 'commander';
import { NativeError } from '../native/errors.ts';
import { errorCatalogue, TillerError } from '../recipes/errors.ts';

export interface Failure {
  line: string;
  exitCode: 0 | 1 | 2;
}

/** Undefined for what is no failure: `--help` and `--version` end by an exception, too. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? undefined : { line: usageLine(error.message), exitCode: 2 };
  }
  if (error instanceof TillerError) return { line: error.line, exitCode: error.exitCode };
  if (error instanceof NativeError) {
    const { code, message, hint, cause } = error;
    return failureOf(
      new TillerError(code, message, { ...(hint === undefined ? {} : { hint }), cause }),
    );
  }
  const bug = new TillerError(
    'INTERNAL',
    oneLine(error instanceof Error ? error.message : String(error)),
    {
      hint: 'This is a bug in Tiller: please report it with what --verbose shows.',
    },
  );
  return { line: bug.line, exitCode: errorCatalogue.INTERNAL.exit };
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ');

/** commander's "error: unknown command 'trian'\n(Did you mean train?)" in our form. */
function usageLine(message: string): string {
  const [what = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const did = suggestion?.match(/Did you mean (.*)\?\)/)?.[1];
  const hint = did === undefined ? 'See `tiller --help`.' : `Did you mean ${did}?`;
  return new TillerError('USAGE', `${what.charAt(0).toUpperCase()}${what.slice(1)}`, { hint }).line;
}
