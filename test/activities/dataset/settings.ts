import { type DataSettings, dataSchema } from '../../../recipes/schema.ts';

/** The data section of a recipe with every default filled in. */
export const dataSettings = (
  given: Partial<DataSettings> & Pick<DataSettings, 'folder' | 'resolution'>,
): DataSettings => ({ ...dataSchema.parse(given), resolution: given.resolution });
