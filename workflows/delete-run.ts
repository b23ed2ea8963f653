/** The record first: from then on the run is gone, and what is left of it is only files. */
import { long, quick } from './activities.ts';

export async function deleteRun(run: string): Promise<void> {
  await quick.forgetRun(run);
  await long.sweep();
}
