import { createHash } from 'node:crypto';

/** A share of a set this small would be no measure. */
const ENOUGH = 10;

/**
 * The keys that are held out: exactly round(share · n), those whose hashes with the seed rank
 * first. So a picture stays on its side when others come and go, but for a few at the border.
 */
export function holdOut(keys: readonly string[], share: number, seed: number): Set<string> {
  const wanted = Math.round(share * keys.length);
  const least = share > 0 && keys.length >= ENOUGH ? 1 : 0;
  const count = Math.min(Math.max(wanted, least), Math.max(0, keys.length - 1));
  const rank = (key: string) => createHash('sha256').update(`${seed}:${key}`).digest('hex');
  const ranked = keys.map((key) => ({ key, rank: rank(key) }));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return new Set(ranked.slice(0, count).map(({ key }) => key));
}
