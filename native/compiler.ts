import { cpus } from 'node:os';
import { readFileSync } from 'node:fs';
import { execa, ExecaError } from 'execa';
import { NativeError } from './errors.ts';
import { type BuildOptions, runOptions } from './options.ts';

export interface Compiler {
  /** The program and its leading arguments: CXX may be `ccache g++`. */
  command: [string, ...string[]];
  /** The first line of --version. */
  version: string;
}

const hint =
  'Install a C++20 compiler (Debian: `apt install g++`; Fedora: `dnf install gcc-c++`; macOS: ' +
  '`xcode-select --install`), or name one in CXX.';

/** The first of $CXX, c++, g++ and clang++ that runs and knows C++20. A CXX is not second-guessed. */
export async function findCompiler(options: BuildOptions): Promise<Compiler> {
  const named = (options.env ?? process.env)['CXX']?.trim();
  const commands = named ? [named.split(/\s+/)] : [['c++'], ['g++'], ['clang++']];
  const refusals: string[] = [];
  for (const command of commands as [string, ...string[]][]) {
    const found = await tryCompiler(command, options);
    if (typeof found !== 'string') return found;
    refusals.push(found);
  }
  throw new NativeError('NATIVE_NO_COMPILER', `no C++20 compiler: ${refusals.join('; ')}`, {
    hint,
  });
}

async function tryCompiler(
  command: Compiler['command'],
  options: BuildOptions,
): Promise<Compiler | string> {
  const [program, ...args] = command;
  const name = command.join(' ');
  try {
    const { stdout } = await execa(program, [...args, '--version'], runOptions(options));
    const { stdin: _, ...run } = runOptions(options);
    await execa(program, [...args, '-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], {
      ...run,
      input: '#include <concepts>\n#include <span>\nstatic_assert(std::integral<int>);\n',
    });
    return { command, version: stdout.split('\n')[0] ?? '' };
  } catch (error) {
    if (!(error instanceof ExecaError) || error.isCanceled) throw error;
    if (error.code === 'ENOENT') return `${name} was not found`;
    if (error.code !== undefined) return `${name} can't be started (${error.code})`;
    return `${name} does not compile C++20`;
  }
}

/** Flags for this machine's own processor. Contracting a*b+c is what vector kernels live on. */
export function compilerFlags(): string[] {
  // GCC and clang on ARM tune by -mcpu; on x86 -mcpu is only an old name for -mtune.
  const native = process.arch.startsWith('arm') ? '-mcpu=native' : '-march=native';
  return ['-std=c++20', '-O3', native, '-ffp-contract=fast', '-pthread', '-Wall', '-Wextra'];
}

/** Names what `native` means here: a cache folder may be shared by machines, or outlive one. */
export function processorName(): string {
  const model = cpus()[0]?.model ?? process.arch;
  try {
    const features = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'));
    return `${model}${features?.[1] ?? ''}`;
  } catch {
    return model; // no /proc: macOS
  }
}
