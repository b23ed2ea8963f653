/**
 * Which size a picture is trained at. The sizes are those of kohya's trainer and of SDXL: for every
 * width that is a multiple of `step` from `min` to `max` the greatest such height whose area is at
 * most resolution², and the same with the two exchanged. A picture gets the one whose aspect is
 * nearest to its own. If it is too small to cover that and may not be enlarged, it gets the largest
 * size inside that one that it covers.
 */
import type { DataSettings } from '../../recipes/schema.ts';
import type { Bucket, Refusal } from './types.ts';

export type BucketSettings = Pick<
  DataSettings,
  'resolution' | 'bucket_min' | 'bucket_max' | 'bucket_step' | 'upscale'
>;

/** A picture of which less than this would be seen is no picture of its bucket. */
const LEAST_SEEN = 0.5;

export function bucketsOf({
  resolution,
  bucket_min: min,
  bucket_max: max,
  bucket_step: step,
}: BucketSettings): Bucket[] {
  const area = resolution * resolution;
  const least = Math.ceil(min / step) * step;
  const sizes = new Map<string, Bucket>();
  const add = (...size: Bucket) => sizes.set(size.join('x'), size);
  // The square, which a resolution that is no multiple of `step` would else not have.
  const square = Math.floor(Math.min(max, resolution) / step) * step;
  if (square >= least) add(square, square);
  for (let side = least; side <= max; side += step) {
    const other = Math.floor(Math.min(max, area / side) / step) * step;
    if (other < least) break;
    add(side, other);
    add(other, side);
  }
  return [...sizes.values()].sort(([aw, ah], [bw, bh]) => aw / ah - bw / bh || bw * bh - aw * ah);
}

/** @param buckets those of the settings, made once for all pictures */
export function chooseBucket(
  width: number,
  height: number,
  { bucket_step: step, bucket_min: min, upscale }: BucketSettings,
  buckets: readonly Bucket[],
): Bucket | Refusal {
  const nearest = nearestAspect(width, height, buckets);
  const apart = distance(width, height, nearest);
  if (apart > 1 / LEAST_SEEN) return tooLong(width, height, nearest, apart);
  if (upscale) return nearest;
  const whole = (side: number, most: number) => Math.min(most, Math.floor(side / step) * step);
  const covered: Bucket = [whole(width, nearest[0]), whole(height, nearest[1])];
  if (Math.min(...covered) >= min) return covered;
  return {
    kind: 'too-small',
    detail: `it has ${size(width, height)} pixels; the smallest bucket here would have sides of at least ${Math.ceil(min / step) * step}`,
  };
}

function nearestAspect(width: number, height: number, buckets: readonly Bucket[]): Bucket {
  let best = buckets[0]!;
  for (const bucket of buckets) {
    if (distance(width, height, bucket) < distance(width, height, best)) best = bucket;
  }
  return best;
}

/** How many times longer one of the two aspects is: 1 where they are the same. */
function distance(width: number, height: number, [bucketWidth, bucketHeight]: Bucket): number {
  const [a, b] = [width * bucketHeight, height * bucketWidth];
  return a > b ? a / b : b / a;
}

const tooLong = (width: number, height: number, bucket: Bucket, apart: number): Refusal => ({
  kind: 'aspect',
  detail: `it has ${size(width, height)} pixels, and only ${(100 / apart).toFixed(0)} % of it would be seen in the nearest bucket, ${size(...bucket)}`,
});

const size = (width: number, height: number): string => `${width} × ${height}`;
