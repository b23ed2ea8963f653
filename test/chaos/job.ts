/** The small picture run that chaos is done to: real pictures, the real trainer, one thread. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { createRun } from '../../db/runs.ts';
import type { Db } from '../../db/connection.ts';
import { connectEngine, startRun } from '../../engine/client.ts';
import { parseRecipe } from '../../recipes/parse.ts';
import { runFields } from '../../cli/run-fields.ts';

/** 24 pictures of coloured shapes with captions. @returns their folder */
export async function writePictures(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const colours = {
    red: '#d33',
    green: '#3a3',
    blue: '#33d',
    yellow: '#dc2',
    black: '#222',
    pink: '#e7b',
  };
  const shapes = {
    circle: '<circle cx="16" cy="16" r="11"/>',
    square: '<rect x="6" y="6" width="20" height="20"/>',
    triangle: '<path d="M16 4 L28 27 L4 27 Z"/>',
    cross: '<path d="M13 4h6v9h9v6h-9v9h-6v-9H4v-6h9z"/>',
  };
  for (const [colour, fill] of Object.entries(colours)) {
    for (const [shape, path] of Object.entries(shapes)) {
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32" fill="${fill}">${path}</svg>`;
      await sharp(Buffer.from(svg))
        .png()
        .toFile(join(folder, `${colour}-${shape}.png`));
      await writeFile(join(folder, `${colour}-${shape}.txt`), `${colour} ${shape}`);
    }
  }
  return folder;
}

export const chaosRecipe = (
  pictures: string,
  { epochs, steps }: { epochs: number; steps: number },
): string => `
name: chaos
device: cpu
threads: 1
model: { base_channels: 32, channel_multipliers: [1, 2], attention_levels: [1], heads: 2, text: { width: 32, tokens: 6 } }
data: { folder: ${JSON.stringify(pictures)}, resolution: 32, validation_share: 0.15, flip: true }
train: { epochs: ${epochs}, steps_per_epoch: ${steps}, batch: 4, accumulation: 2, warmup_steps: 20, schedule: cosine, min_snr_gamma: 5 }
samples: { prompts: [red circle, blue cross], steps: 4 }
validation: { bins: 4 }
checkpoints: { every_seconds: 1, keep_rolling: 2 }
`;

export async function startChaosRun(
  db: Db,
  env: NodeJS.ProcessEnv,
  name: string,
  text: string,
): Promise<string> {
  const parsed = parseRecipe(text, { folder: '/', set: [`name=${name}`] });
  const { id } = createRun(db, runFields(parsed));
  const client = await connectEngine(db, env);
  await startRun(client, id);
  await client.connection.close();
  return id;
}
