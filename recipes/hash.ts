import { createHash } from 'node:crypto';
import type { DataSettings, Recipe } from './schema.ts';

/**
 * Names what determines the trained weights, apart from the content of data and base, which have
 * hashes of their own. Name, priority, cost, checkpoints, samples and validation are left out, and
 * so is where the pictures lie.
 */
export function recipeHash(recipe: Recipe): string {
  const { trainer, settings, seed, device, threads, base, vae, model, lora, data, train } = recipe;
  const reading: Partial<DataSettings> = { ...data };
  for (const place of ['folder', 'mask_folder', 'regularisation_folder'] as const) {
    delete reading[place];
  }
  const decisive = {
    trainer,
    settings,
    seed,
    device,
    threads,
    base,
    vae,
    model,
    lora,
    data: reading,
    train,
  };
  return createHash('sha256').update(canonicalJson(decisive)).digest('hex');
}

/** JSON with sorted keys and without white space: the same text for the same value. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
