import type { RunRow } from '../../db/runs.ts';

export interface PinnedFile {
  path: string;
  size: number;
  /** ms since 1970 */
  mtime: number;
}

/** What a run began with: `run.base`, as JSON. */
export interface PinnedBase {
  /** Of all its files' content. */
  hash: string;
  /** Of the autoencoder, where it is another one than the base's. */
  vae_hash: string | null;
  files: PinnedFile[];
  /** The run's own copy: a later Tiller may write another. */
  tokenizer: string | null;
}

export const pinnedBase = ({ base }: Pick<RunRow, 'base'>): PinnedBase | null =>
  base === null ? null : (JSON.parse(base) as PinnedBase);
