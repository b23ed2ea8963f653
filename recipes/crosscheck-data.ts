/** Keys of the data section that must fit each other. */
import type { Problem } from './problem.ts';
import type { DataSettings, Recipe } from './schema.ts';

/** @param unit what sides must be multiples of */
export const crosscheckData = ({ data }: Recipe, unit: number): Problem[] =>
  data === undefined ? [] : [...buckets(data, unit), ...masks(data), ...regularisation(data)];

function buckets(data: DataSettings, unit: number): Problem[] {
  if (data.fit !== 'buckets') return [];
  const { bucket_min: min, bucket_max: max, bucket_step: step, resolution } = data;
  const least = Math.ceil(min / step) * step;
  const problems: Problem[] = [];
  if (step % unit !== 0) {
    problems.push({
      path: ['data', 'bucket_step'],
      what: `${step} pixels are no multiple of ${unit}, which sides must be for this U-Net`,
      advice: `Set ${Math.ceil(step / unit) * unit}.`,
    });
  }
  if (least > max) {
    problems.push({
      path: ['data', 'bucket_max'],
      what: `no multiple of data.bucket_step, ${step}, lies between ${min} and ${max}`,
      advice: 'Raise data.bucket_max, or lower data.bucket_min.',
    });
  } else if (least > resolution) {
    problems.push({
      path: ['data', 'resolution'],
      what: `a bucket has sides of at least ${least}, and an area of at most ${resolution} × ${resolution}`,
      advice: 'Raise data.resolution, or lower data.bucket_min.',
    });
  }
  return problems;
}

const masks = ({ masks: kind, mask_folder: folder }: DataSettings): Problem[] =>
  folder === undefined || kind === 'folder'
    ? []
    : [
        {
          path: ['data', 'mask_folder'],
          what: `not read with data.masks: ${kind}`,
          advice: 'Set data.masks: folder.',
        },
      ];

const regularisation = ({ folder, regularisation_folder: other }: DataSettings): Problem[] =>
  other !== folder
    ? []
    : [
        {
          path: ['data', 'regularisation_folder'],
          what: 'the same as data.folder',
          advice: 'Name a folder of other pictures of the class.',
        },
      ];
