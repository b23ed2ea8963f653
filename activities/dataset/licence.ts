import { open } from 'node:fs/promises';
import { join } from 'node:path';

const MAX_BYTES = 200_000;

/** The text of LICENSE and NOTICE beside the pictures, which travels with what is made from them. */
export async function readLicence(
  folder: string,
  files: readonly string[],
): Promise<string | null> {
  const texts: string[] = [];
  for (const name of files) {
    await using file = await open(join(folder, name));
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(MAX_BYTES) });
    texts.push(buffer.toString('utf8', 0, bytesRead).trim());
  }
  return texts.length === 0 ? null : texts.join('\n\n');
}
