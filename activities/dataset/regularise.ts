/**
 * Regularisation pictures share a pass with the training pictures half and half: each as often as
 * makes them as many, and of too many those whose hashes rank first.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Candidate, Taken } from './take-pictures.ts';

export async function regularise(
  candidates: readonly Candidate[],
  taken: Taken,
  seed: number,
  onEach: () => void,
): Promise<void> {
  const slots = taken.items
    .filter(({ split }) => split === 'train')
    .reduce((sum, { repeats }) => sum + repeats, 0);
  const begin = taken.items.length;
  for (const candidate of candidates.length > slots ? await ranked(candidates, seed) : candidates) {
    onEach();
    if (taken.items.length - begin < slots) await taken.take(candidate);
    else taken.problems.push({ file: candidate.name, ...unneeded(slots) });
  }
  const used = taken.items.slice(begin);
  const repeats = Math.max(1, Math.round(slots / used.length));
  for (const item of used) item.repeats = repeats;
}

const unneeded = (slots: number) => ({
  kind: 'regularisation-unneeded' as const,
  detail: `there are enough: a pass has ${slots} training pictures`,
});

/** By the hash of the file, so that a name decides nothing. */
async function ranked(candidates: readonly Candidate[], seed: number): Promise<Candidate[]> {
  const ranks: { candidate: Candidate; rank: string }[] = [];
  for (const candidate of candidates) {
    const hash = createHash('sha256').update(`${seed}:`);
    const bytes = await readFile(join(candidate.folder, candidate.file)).catch(() => null);
    ranks.push({ candidate, rank: hash.update(bytes ?? candidate.file).digest('hex') });
  }
  return ranks.sort((a, b) => (a.rank < b.rank ? -1 : 1)).map(({ candidate }) => candidate);
}
