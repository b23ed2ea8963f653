/** The pictures that a file was trained on, as kohya's metadata counts them: JSON in text. */
import { basename, dirname } from 'node:path';
import type { DataSettings } from '../../recipes/schema.ts';
import type { Manifest, ManifestItem } from '../dataset/types.ts';

export function dataMetadata(
  data: DataSettings,
  manifest: Manifest | undefined,
): Record<string, unknown> {
  const items = manifest?.train ?? [];
  const own = items.filter(({ regularisation }) => !regularisation);
  const others = items.filter(({ regularisation }) => regularisation);
  return {
    ss_enable_bucket: data.fit === 'buckets',
    ...(data.fit === 'buckets'
      ? { ss_min_bucket_reso: data.bucket_min, ss_max_bucket_reso: data.bucket_max }
      : {}),
    ss_num_train_images: sum(own),
    ss_num_reg_images: sum(others),
    ss_dataset_dirs: JSON.stringify(folders(own, data.folder)),
    ss_reg_dataset_dirs: JSON.stringify(folders(others, data.regularisation_folder ?? '')),
    ss_tag_frequency: JSON.stringify(tagFrequency(own, data.folder)),
    ss_bucket_info: JSON.stringify(bucketInfo(items)),
  };
}

/** Of a pass. */
const sum = (items: readonly ManifestItem[]): number =>
  items.reduce((total, { repeats }) => total + repeats, 0);

const folderOf = ({ file }: ManifestItem, root: string): string =>
  dirname(file) === '.' ? basename(root) : basename(dirname(file));

function folders(items: readonly ManifestItem[], root: string) {
  const found: Record<string, { n_repeats: number; img_count: number }> = {};
  for (const item of items) {
    const folder = (found[folderOf(item, root)] ??= { n_repeats: item.repeats, img_count: 0 });
    folder.img_count += 1;
  }
  return found;
}

/** Parts between commas, most frequent first: A1111 offers the first ones as the LoRA's words. */
function tagFrequency(items: readonly ManifestItem[], root: string) {
  const found: Record<string, Map<string, number>> = {};
  for (const item of items) {
    const tags = (found[folderOf(item, root)] ??= new Map());
    for (const { text } of item.captions) {
      for (const part of text.split(',')) {
        const tag = part.trim();
        if (tag !== '') tags.set(tag, (tags.get(tag) ?? 0) + 1);
      }
    }
  }
  return Object.fromEntries(
    Object.entries(found).map(([folder, tags]) => [
      folder,
      Object.fromEntries([...tags].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))),
    ]),
  );
}

function bucketInfo(items: readonly ManifestItem[]) {
  const counts = new Map<string, { resolution: readonly [number, number]; count: number }>();
  for (const { bucket, repeats } of items) {
    const key = bucket.join('x');
    const known = counts.get(key) ?? { resolution: bucket, count: 0 };
    counts.set(key, { ...known, count: known.count + repeats });
  }
  const sorted = [...counts.values()].sort(
    (a, b) => a.resolution[0] - b.resolution[0] || a.resolution[1] - b.resolution[1],
  );
  return { buckets: Object.fromEntries(sorted.map((bucket, index) => [String(index), bucket])) };
}
