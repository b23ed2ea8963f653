import type { Bucket } from './types.ts';

/**
 * Optimizer steps of a pass over a data set. Pictures of a micro-batch are of one size, so that each
 * bucket fills micro-batches of its own, the last one perhaps not; a step takes `accumulation` of
 * them, of whatever bucket.
 */
export function stepsOfPass(
  items: readonly { bucket: Bucket; repeats: number }[],
  batch: number,
  accumulation: number,
): number {
  const pictures = new Map<string, number>();
  for (const { bucket, repeats } of items) {
    const name = bucket.join('x');
    pictures.set(name, (pictures.get(name) ?? 0) + repeats);
  }
  const batches = [...pictures.values()].map((count) => Math.ceil(count / batch));
  return Math.max(1, Math.ceil(batches.reduce((sum, count) => sum + count, 0) / accumulation));
}
