import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { TillerError } from '../recipes/errors.ts';

export interface Archive {
  /** The same file in several places: the first that answers is taken. */
  urls: string[];
  /** SHA-256, or where a list of them is published. */
  sha256: string | { list: string };
}

export interface DownloadOptions {
  signal?: AbortSignal | undefined;
  log?: ((line: string) => void) | undefined;
  progress?: ((done: number, total: number | undefined) => void) | undefined;
  /** How long a server may take to answer, and then to send the next bytes, in ms. */
  answerWithin?: number;
  stallsAfter?: number;
}

/** SHA-256 of the releases' archives, by version, platform and processor. */
const pinnedHashes: Record<string, string> = {
  '1.5.1 linux amd64': 'ddc95e08b0b076efd4ea9733a3f488eb7d2be875f8834e616cd2a37358b4852d',
  '1.5.1 linux arm64': 'bd1b0db9f18b051026de8bf6cc1505f2510f14bbb7a8b9a4a91fff46c77454f5',
  '1.5.1 darwin amd64': 'bbb73e2a31135abe50a1f1cdb35030c42961df618e8ce9c60ae89f201540c5d9',
  '1.5.1 darwin arm64': 'cca01b7ea35ad56e2a328d9ae596bf716bd22313ef63c7a761c88354457c2415',
};

/** The official archive of a version for this machine. Errors: ENGINE_DOWNLOAD_FAILED. */
export function officialArchive(
  cli: string,
  platform: string = process.platform,
  processor: string = process.arch,
): Archive {
  const arch = { x64: 'amd64', arm64: 'arm64' }[processor];
  if (arch === undefined || !['linux', 'darwin'].includes(platform)) {
    throw failure(`there is none for ${platform} on ${processor}`);
  }
  const release = `https://github.com/temporalio/cli/releases/download/v${cli}`;
  return {
    urls: [
      `${release}/temporal_cli_${cli}_${platform}_${arch}.tar.gz`,
      `https://temporal.download/cli/archive/v${cli}?platform=${platform}&arch=${arch}`,
    ],
    sha256: pinnedHashes[`${cli} ${platform} ${arch}`] ?? { list: `${release}/checksums.txt` },
  };
}

/**
 * Downloads an archive, checks its hash and unpacks `temporal` into a folder.
 * A blocked network is given up after `answerWithin`. Errors: ENGINE_DOWNLOAD_FAILED.
 */
export async function downloadEngine(
  archive: Archive,
  folder: string,
  options: DownloadOptions = {},
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'temporal.tar.gz.partial');
  const stop = new AbortController();
  const { signal: outer } = options;
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  try {
    const response = await firstAnswer(archive.urls, signal, options.answerWithin ?? 5000);
    options.log?.(`downloading the engine from ${new URL(response.url).host}`);
    const hash = await save(response, file, stop, options);
    const expected = await expectedHash(archive, signal);
    if (hash !== expected) throw new Error(`its SHA-256 is ${hash}, not ${expected}`);
    await execa('tar', ['-xzf', file, '-C', folder, 'temporal'], { stdin: 'ignore' });
    return join(folder, 'temporal');
  } catch (error) {
    outer?.throwIfAborted();
    const cause: unknown = stop.signal.aborted ? stop.signal.reason : error;
    throw failure(reasonOf(cause), cause);
  } finally {
    stop.abort();
    await rm(file, { force: true });
  }
}

/** Asks all at once, so that one slow or blocked server doesn't cost the others their time. */
async function firstAnswer(urls: string[], signal: AbortSignal, ms: number): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`no answer in ${ms / 1000} s`)), ms);
  const others = urls.map(() => new AbortController());
  try {
    return await Promise.any(
      urls.map(async (url, index) => {
        const own = others[index]!.signal;
        const response = await fetch(url, { signal: AbortSignal.any([signal, late.signal, own]) });
        if (!response.ok || response.body === null) {
          throw new Error(`${new URL(url).host} answers ${response.status}`);
        }
        for (const [other, controller] of others.entries()) {
          if (other !== index) controller.abort(new Error('another server was faster'));
        }
        return response;
      }),
    );
  } finally {
    clearTimeout(timer);
  }
}

async function save(
  response: Response,
  file: string,
  stop: AbortController,
  { progress, stallsAfter = 15_000 }: DownloadOptions,
): Promise<string> {
  const length = Number(response.headers.get('content-length'));
  const total = length > 0 ? length : undefined;
  const hash = createHash('sha256');
  const stalled = () => stop.abort(new Error(`nothing came for ${stallsAfter / 1000} s`));
  let timer = setTimeout(stalled, stallsAfter);
  let done = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      clearTimeout(timer);
      timer = setTimeout(stalled, stallsAfter);
      hash.update(chunk);
      done += chunk.length;
      progress?.(done, total);
      next(null, chunk);
    },
  });
  try {
    // fetch's own type of a web stream and node:stream's differ in name only
    const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
    await pipeline(body, counter, createWriteStream(file), { signal: stop.signal });
  } finally {
    clearTimeout(timer);
  }
  return hash.digest('hex');
}

async function expectedHash({ urls, sha256 }: Archive, signal: AbortSignal): Promise<string> {
  if (typeof sha256 === 'string') return sha256;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
  const response = await fetch(sha256.list, { signal: limit });
  const name = urls[0]!.split('/').at(-1)!;
  const line = (await response.text()).split('\n').find((line) => line.trim().endsWith(name));
  const hash = line?.trim().split(/\s+/)[0];
  if (!response.ok || hash === undefined) throw new Error(`no SHA-256 of ${name} is published`);
  return hash;
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}

const failure = (why: string, cause?: unknown): TillerError =>
  new TillerError('ENGINE_DOWNLOAD_FAILED', `The download of the engine failed: ${why}`, {
    hint: "Put Temporal's command line on PATH, or name it in TILLER_TEMPORAL.",
    cause,
  });
