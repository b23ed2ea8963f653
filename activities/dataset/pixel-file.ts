import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

/** pixels.u8 while it grows: one picture after another, hashed on the way. */
export class PixelFile implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #hash = createHash('sha256');

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<PixelFile> {
    return new PixelFile(await open(path, 'wx'));
  }

  async append(pixels: Uint8Array): Promise<void> {
    this.#hash.update(pixels);
    await this.#file.writeFile(pixels);
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
