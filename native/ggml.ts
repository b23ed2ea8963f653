import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa, ExecaError } from 'execa';
import { cacheFolder, moveInto } from './cache.ts';
import { NativeError } from './errors.ts';
import { type BuildOptions, runOptions } from './options.ts';

/** Where ggml is: prebuilt libraries out of node-llama-cpp, headers out of its source bundle. */
export interface Ggml {
  /** The llama.cpp release that libraries and headers are of. */
  release: string;
  /** The folder of llama.cpp's headers: ggml/include, include, vendor. */
  headers: string;
  /** The one library that is linked; all others are opened at run time. */
  baseLibrary: string;
  /** The folder that holds a package of libraries for each platform and kind of device. */
  packages: string;
  /** The name of this machine's package, without the kind of device: `linux-x64`. */
  platform: string;
}

const mendInstall = 'Run `npm install` in the folder of Tiller, without --omit=optional.';
const headerFolders = ['ggml/include', 'include', 'vendor/nlohmann', 'vendor/stb'];

export async function locateGgml(options: BuildOptions): Promise<Ggml> {
  const platform = platformName();
  const packages = findPackage('@node-llama-cpp');
  const extension = process.platform === 'darwin' ? 'dylib' : 'so';
  const baseLibrary = join(packages, platform, 'bins', platform, `libggml-base.${extension}`);
  if (!existsSync(baseLibrary)) {
    throw new NativeError('NATIVE_GGML_MISSING', `no ggml library at ${baseLibrary}`, {
      hint: mendInstall,
    });
  }
  const source = join(findPackage('node-llama-cpp'), 'llama');
  const release = await readRelease(join(source, 'binariesGithubRelease.json'));
  const headers = await unpackHeaders(join(source, 'gitRelease.bundle'), release, options);
  return { release, headers, baseLibrary, packages, platform };
}

/** node-llama-cpp's name for this platform; on a Mac the package names its device as well. */
function platformName(): string {
  if (process.platform === 'darwin') {
    return process.arch === 'arm64' ? 'mac-arm64-metal' : 'mac-x64';
  }
  return `${process.platform}-${process.arch === 'arm' ? 'armv7l' : process.arch}`;
}

/** Looks for a package where Node would: in the node_modules of this folder and those above it. */
export function findPackage(name: string): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(found)) return found;
    if (folder === dirname(folder)) break;
  }
  throw new NativeError('NATIVE_GGML_MISSING', `the npm package ${name} is not installed`, {
    hint: mendInstall,
  });
}

async function readRelease(file: string): Promise<string> {
  try {
    const { release } = JSON.parse(await readFile(file, 'utf8')) as { release: unknown };
    if (typeof release === 'string' && /^[\w.-]+$/.test(release)) return release;
  } catch (cause) {
    throw missingSource(file, cause);
  }
  throw missingSource(file);
}

const missingSource = (file: string, cause?: unknown): NativeError =>
  new NativeError('NATIVE_GGML_MISSING', `the source release of node-llama-cpp is not at ${file}`, {
    hint: mendInstall,
    cause,
  });

/** Checks the headers out of the bundle, once for each release. */
async function unpackHeaders(
  bundle: string,
  release: string,
  options: BuildOptions,
): Promise<string> {
  const { log, env = process.env } = options;
  const parent = join(cacheFolder(env), 'headers');
  const folder = join(parent, release);
  if (existsSync(folder)) return folder;
  if (!existsSync(bundle)) throw missingSource(bundle);
  log?.(`unpacking the headers of ggml ${release}`);
  const temporary = join(parent, `.${release}-${randomUUID()}`);
  await mkdir(parent, { recursive: true });
  try {
    // Inside a git hook GIT_DIR and its like point at another repository.
    const outside = Object.fromEntries(
      Object.entries(env).filter(([name]) => !name.startsWith('GIT_')),
    );
    const git = (...args: string[]) => execa('git', args, runOptions({ ...options, env: outside }));
    await git('clone', '--quiet', '--no-checkout', '--depth=1', bundle, temporary);
    await git('-C', temporary, 'checkout', '--quiet', 'HEAD', '--', ...headerFolders);
    await rm(join(temporary, '.git'), { recursive: true, force: true });
    await moveInto(temporary, folder);
  } catch (error) {
    throw gitFailure(error, bundle);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}

function gitFailure(error: unknown, bundle: string): unknown {
  if (!(error instanceof ExecaError) || error.isCanceled) return error;
  if (error.code === 'ENOENT') {
    return new NativeError('NATIVE_NO_GIT', 'git was not found', {
      hint: 'Install git, or put it on PATH.',
      cause: error,
    });
  }
  const reason =
    String(error.stderr ?? '')
      .trim()
      .split('\n')
      .at(-1) || error.shortMessage;
  return new NativeError('NATIVE_GGML_MISSING', `git can't unpack ${bundle}: ${reason}`, {
    hint: 'Remove node_modules/node-llama-cpp and run `npm install` again.',
    cause: error,
  });
}
