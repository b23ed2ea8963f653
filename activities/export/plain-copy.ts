/**
 * A checkpoint of a model of free sizes as one file: the tensors as they lie, and what else a base
 * needs as text in the header (`__metadata__`, key `tiller.state`).
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TillerError } from '../../recipes/errors.ts';
import { onDisk, syncFolder } from '../dataset/disk.ts';

/** What of state.json a base is read from. */
const OF_STATE = ['version', 'trainer', 'model', 'vocabulary', 'latent', 'width', 'height'];
const LONGEST_HEADER = 100_000_000;
const CHUNK = 1 << 22;

export interface CopiedFile {
  path: string;
  sha256: string;
  bytes: number;
}

/** Errors: CHECKPOINT_CORRUPT, DISK_FULL. */
export async function copyWithState(
  checkpoint: string,
  file: string,
  target: string,
  metadata: Readonly<Record<string, string>> = {},
): Promise<CopiedFile> {
  const source = join(checkpoint, file);
  await using from = await open(source, 'r');
  const { header, begin } = await readHeader(from, source);
  const state = await stateOf(checkpoint);
  const own = state === undefined ? {} : { 'tiller.state': state };
  const { __metadata__: old = {}, ...tensors } = header;
  const text = JSON.stringify({ __metadata__: { ...old, ...metadata, ...own }, ...tensors });
  const length = Math.ceil(Buffer.byteLength(text) / 8) * 8; // the tensors begin aligned
  const head = Buffer.alloc(8 + length, ' ');
  head.writeBigUInt64LE(BigInt(length));
  head.write(text, 8);
  return await write(from, head, begin, target);
}

/** Byte for byte: what a trainer of someone's own keeps may be no safetensors file. */
export async function copyAsIs(source: string, target: string): Promise<CopiedFile> {
  await using from = await open(source, 'r');
  return await write(from, Buffer.alloc(0), 0, target);
}

/** `head`, then the source from a place on; whole or not there. */
async function write(
  from: FileHandle,
  head: Uint8Array,
  begin: number,
  target: string,
): Promise<CopiedFile> {
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.tmp-${process.pid}`);
  try {
    return await onDisk(folder, async () => {
      const hash = createHash('sha256');
      let bytes = 0;
      {
        await using to = await open(temporary, 'w');
        const add = async (part: Uint8Array) => {
          hash.update(part);
          bytes += part.length;
          await to.writeFile(part); // goes on where the last ended
        };
        await add(head);
        const buffer = Buffer.alloc(CHUNK);
        for (let at = begin; ;) {
          const { bytesRead } = await from.read(buffer, 0, CHUNK, at);
          if (bytesRead === 0) break;
          await add(buffer.subarray(0, bytesRead));
          at += bytesRead;
        }
        await to.sync();
      }
      await rename(temporary, target);
      await syncFolder(folder);
      return { path: target, sha256: hash.digest('hex'), bytes };
    });
  } finally {
    await rm(temporary, { force: true });
  }
}

async function readHeader(from: FileHandle, source: string) {
  const corrupt = (why: string) =>
    new TillerError('CHECKPOINT_CORRUPT', `${source} ${why}`, { hint: 'Export another epoch.' });
  const size = Buffer.alloc(8);
  if ((await from.read(size, 0, 8, 0)).bytesRead < 8) throw corrupt('is cut');
  const length = Number(size.readBigUInt64LE());
  if (length > LONGEST_HEADER) throw corrupt('is no safetensors file');
  const text = Buffer.alloc(length);
  if ((await from.read(text, 0, length, 8)).bytesRead < length) throw corrupt('is cut');
  try {
    const header = JSON.parse(text.toString('utf8')) as Record<string, object>;
    return { header, begin: 8 + length };
  } catch (cause) {
    if (cause instanceof SyntaxError) throw corrupt('is no safetensors file');
    throw cause;
  }
}

/** Undefined where a trainer of someone's own keeps its state elsewhere. */
async function stateOf(checkpoint: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(join(checkpoint, 'state.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const state = JSON.parse(text) as Record<string, unknown>;
  if (state['trainer'] !== 'tiller-diffusion') return undefined;
  return JSON.stringify(
    Object.fromEntries(OF_STATE.flatMap((key) => (key in state ? [[key, state[key]]] : []))),
  );
}
