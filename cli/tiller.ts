/** The front door: one file a command; every error ends here as one line and an exit code. */
import { readFileSync, realpathSync } from 'node:fs';
import { Command } from 'commander';
import { compareCommand } from './compare.ts';
import { demoCommand } from './demo.ts';
import { doctorCommand } from './doctor.ts';
import { failureOf } from './errors.ts';
import { pauseCommand } from './pause.ts';
import { resumeCommand } from './resume.ts';
import { runsCommand } from './runs.ts';
import { showCommand } from './show.ts';
import { stopCommand } from './stop.ts';
import { trainCommand } from './train.ts';
import { upCommand } from './up.ts';
import { watchCommand } from './watch.ts';

const commands = [
  upCommand,
  trainCommand,
  runsCommand,
  showCommand,
  watchCommand,
  pauseCommand,
  resumeCommand,
  stopCommand,
  compareCommand,
  doctorCommand,
  demoCommand,
];

export function createProgram(): Command {
  const manifest = new URL('../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const program = new Command('tiller')
    .description('Trains models for days, survives anything, and tells you which epoch is better.')
    .version(version)
    .helpCommand(true)
    .exitOverride()
    // What is wrong is written below, in our form.
    .configureOutput({ outputError: () => undefined });
  for (const add of commands) add(program).copyInheritedSettings(program);
  return program;
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const program = createProgram();
    if (argv.length === 0) {
      program.outputHelp({ error: true });
      return 2;
    }
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const failure = failureOf(error);
    if (failure === undefined) return 0;
    process.stderr.write(`${failure.line}\n`);
    if (argv.includes('--verbose') && error instanceof Error)
      process.stderr.write(`${stackOf(error)}\n`);
    return failure.exitCode;
  }
}

const stackOf = ({ stack = '', cause }: Error): string =>
  cause instanceof Error ? `${stack}\ncaused by ${stackOf(cause)}` : stack;

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  // `tiller runs | head` closes the pipe early, which is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  process.exitCode = await main(process.argv.slice(2));
}
