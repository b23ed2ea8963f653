import { createHash, randomUUID } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { execa, ExecaError } from 'execa';
import { cacheFolder, moveInto } from './cache.ts';
import { type Compiler, compilerFlags, findCompiler, processorName } from './compiler.ts';
import { NativeError } from './errors.ts';
import { type Ggml, locateGgml } from './ggml.ts';
import { type BuildOptions, runOptions } from './options.ts';
import { collectSources, nativeFolder, sourceOf } from './sources.ts';

export interface Built {
  path: string;
  /** Whether an earlier build was found. */
  cached: boolean;
  /** How long this call took. */
  seconds: number;
}

/**
 * Compiles a program of native/ for this machine, once: the result is kept under a hash of all that
 * it depends on. Two builds at once are safe; the first that finishes stands.
 */
export async function buildNative(target: string, options: BuildOptions = {}): Promise<Built> {
  options.signal?.throwIfAborted();
  const start = performance.now();
  const { log, env = process.env } = options;
  const source = sourceOf(target);
  const ggml = await locateGgml(options);
  const compiler = await findCompiler(options);
  const flags = [...compilerFlags(), ...ggmlFlags(ggml), ...extraFlags(env)];
  const parent = join(cacheFolder(env), 'native');
  const folder = join(parent, await hashOf(source, compiler, flags, ggml));
  const name = basename(source, '.cpp');
  const path = join(folder, name);
  const cached = existsSync(path);
  if (!cached) {
    log?.(`compiling ${name} with ${compiler.version}`);
    const temporary = join(parent, `.${name}-${randomUUID()}`);
    await mkdir(temporary, { recursive: true });
    await sweep(parent);
    try {
      await compile(source, join(temporary, name), { compiler, flags, ggml }, options);
      await moveInto(temporary, folder);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }
  return { path, cached, seconds: (performance.now() - start) / 1000 };
}

/** -isystem: warnings in ggml's headers aren't ours. */
const ggmlFlags = ({ headers, packages, platform }: Ggml): string[] => [
  `-I${nativeFolder}`,
  ...['ggml/include', 'include', 'vendor'].flatMap((dir) => ['-isystem', join(headers, dir)]),
  `-DTILLER_GGML_PACKAGES="${packages}"`,
  `-DTILLER_GGML_PLATFORM="${platform}"`,
];

/** For tests with sanitizers: TILLER_CXXFLAGS="-fsanitize=address -g". */
const extraFlags = (env: NodeJS.ProcessEnv): string[] =>
  (env['TILLER_CXXFLAGS'] ?? '').split(/\s+/).filter((flag) => flag !== '');

async function hashOf(
  source: string,
  compiler: Compiler,
  flags: string[],
  ggml: Ggml,
): Promise<string> {
  const hash = createHash('sha256');
  // The path of the library is in the program (rpath), so a moved clone builds anew.
  const parts = [compiler.version, ...flags, ggml.release, ggml.baseLibrary, processorName()];
  hash.update(JSON.stringify(parts));
  for (const [file, text] of await collectSources(source)) {
    hash.update(JSON.stringify([relative(nativeFolder, file), text]));
  }
  return hash.digest('hex').slice(0, 24);
}

/** Removes what builds that were killed left behind. */
async function sweep(parent: string): Promise<void> {
  const yesterday = Date.now() - 24 * 3600 * 1000;
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (!name.startsWith('.')) continue;
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity })); // swept by another
    if (mtimeMs < yesterday) await rm(path, { recursive: true, force: true });
  }
}

interface Toolchain {
  compiler: Compiler;
  flags: string[];
  ggml: Ggml;
}

async function compile(
  source: string,
  output: string,
  { compiler, flags, ggml }: Toolchain,
  options: BuildOptions,
): Promise<void> {
  const [program, ...leading] = compiler.command;
  const link = [ggml.baseLibrary, `-Wl,-rpath,${join(ggml.baseLibrary, '..')}`];
  if (process.platform === 'linux') link.push('-ldl'); // glibc before 2.34
  const args = [...leading, ...flags, source, '-o', output, ...link];
  try {
    await execa(program, args, { ...runOptions(options), all: true });
  } catch (error) {
    if (!(error instanceof ExecaError) || error.isCanceled) throw error;
    throw await compileFailure(error, output, options);
  }
}

async function compileFailure(
  error: ExecaError,
  output: string,
  { env = process.env }: BuildOptions,
): Promise<NativeError> {
  const text = String(error.all ?? '').trim() || error.shortMessage;
  const name = basename(output);
  const log = join(cacheFolder(env), 'native', `${name}.log`);
  const written = `${output}.log`; // then renamed: two failing builds must not mix their lines
  await writeFile(written, `${error.escapedCommand}\n\n${text}\n`);
  await rename(written, log);
  const last = text.split('\n').slice(-12).join('\n');
  return new NativeError('NATIVE_COMPILE_FAILED', `${name} does not compile:\n${last}\n`, {
    hint: `The compiler's whole output is in ${log}.`,
    cause: error,
  });
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const [target] = process.argv.slice(2);
  try {
    if (target === undefined) throw new Error('usage: node native/build.ts PROGRAM');
    const built = await buildNative(target, { log: (line) => console.error(line) });
    console.log(built.path);
  } catch (error) {
    console.error(error instanceof NativeError ? `${error.message}. ${error.hint}` : error);
    process.exitCode = 1;
  }
}
