import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

/** pixels.u8 or masks.u8 while it grows: one picture after another, hashed on the way. */
export class PixelFile implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #hash = createHash('sha256');
  #length = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<PixelFile> {
    return new PixelFile(await open(path, 'wx'));
  }

  get length(): number {
    return this.#length;
  }

  /** @returns where it begins */
  async append(pixels: Uint8Array): Promise<number> {
    const offset = this.#length;
    this.#hash.update(pixels);
    await this.#file.writeFile(pixels);
    this.#length += pixels.length;
    return offset;
  }

  /** Synced to the disk; gives the hash of all of it. */
  async finish(): Promise<string> {
    await this.#file.sync();
    return this.#hash.digest('hex');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
