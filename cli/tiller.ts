/** The front door: one file a command; every error ends here as one line and an exit code. */
import { readFileSync, realpathSync } from 'node:fs';
import { Command } from 'commander';
import { failureOf } from './errors.ts';

/** In the order of the help. Only the one that is called is loaded: some bring the engine's client. */
const commands: Record<string, () => Promise<(program: Command) => Command>> = {
  up: async () => (await import('./up.ts')).upCommand,
  down: async () => (await import('./down.ts')).downCommand,
  train: async () => (await import('./train.ts')).trainCommand,
  runs: async () => (await import('./runs.ts')).runsCommand,
  show: async () => (await import('./show.ts')).showCommand,
  watch: async () => (await import('./watch.ts')).watchCommand,
  pause: async () => (await import('./pause.ts')).pauseCommand,
  resume: async () => (await import('./resume.ts')).resumeCommand,
  stop: async () => (await import('./stop.ts')).stopCommand,
  extend: async () => (await import('./extend.ts')).extendCommand,
  delete: async () => (await import('./delete.ts')).deleteCommand,
  prompts: async () => (await import('./prompts.ts')).promptsCommand,
  sample: async () => (await import('./sample.ts')).sampleCommand,
  compare: async () => (await import('./compare.ts')).compareCommand,
  export: async () => (await import('./export.ts')).exportCommand,
  extract: async () => (await import('./extract.ts')).extractCommand,
  merge: async () => (await import('./merge.ts')).mergeCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  demo: async () => (await import('./demo.ts')).demoCommand,
};

/** With all commands, or only the named one. */
export async function createProgram(name?: string): Promise<Command> {
  const manifest = new URL('../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const program = new Command('tiller')
    .description('Trains models for days, survives anything, and tells you which epoch is better.')
    .version(version)
    .helpCommand(true)
    .exitOverride()
    // What is wrong is written below, in our form.
    .configureOutput({ outputError: () => undefined });
  const known = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  for (const load of known === undefined ? Object.values(commands) : [known]) {
    (await load())(program).copyInheritedSettings(program);
  }
  return program;
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const program = await createProgram(argv[0]);
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
