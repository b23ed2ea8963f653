/** Moves the pictures that a trainer made into the artifacts, by content, before the record names them. */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { artifactPath } from '../../db/home.ts';
import { registerArtifact } from '../../db/samples.ts';
import type { EventOf } from '../../native/protocol.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Deps } from '../deps.ts';

export async function keepSamples(
  { db, home }: Deps,
  samples: readonly EventOf<'sample'>[],
): Promise<void> {
  for (const { file, sha256, width, height } of samples) {
    const bytes = await readFile(file);
    const actual = createHash('sha256').update(bytes).digest('hex');
    if (actual !== sha256) {
      throw new TillerError(
        'TRAINER_PROTOCOL',
        `The sample ${file} is not the one that the trainer announced`,
        {
          hint: 'A trainer must finish a file before it announces it, and never change it.',
        },
      );
    }
    await writeDurably(artifactPath(home, sha256), bytes);
    registerArtifact(db, { sha256, mediaType: 'image/png', bytes: bytes.length, width, height });
  }
}

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  const handle = await open(temporary, 'w');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
}
