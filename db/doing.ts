/** What a trainer does at the moment: kept with its launch while it is so. */
import { basename, dirname, join } from 'node:path';
import type { LaunchRow } from './launches.ts';
import type { EventOf, Said, SaidMemory } from './said.ts';

/** A sample in the making. */
export interface Preview {
  step: number;
  epoch: number;
  /** position */
  prompt: number;
  sampling_step: number;
  sampling_steps: number;
  /** a file's name in the run's samples folder; null: none that may be shown */
  picture: string | null;
}

export interface Phase {
  phase: string;
  done: number;
  total: number;
}

/** Of one memory. */
export interface MemoryNeed {
  total_bytes: number;
  available_bytes: number | null;
  parts: { name: string; bytes: number }[];
}

/** Of where the job computes. */
export interface MemoryPlan extends MemoryNeed {
  /** the processor's memory, where the job computes on a device */
  host?: MemoryNeed;
  /** of its largest graph there, and into how many parts it is cut */
  nodes?: number;
  splits?: number;
}

/** Names that a preview's file may have; whatever else lies in the folder is no preview. */
export const PREVIEW_NAME = /^preview[\w-]{0,64}\.png$/;

/** Longer names are a trainer's fault, and no page has room for them. */
const LONGEST_PHASE = 40;

export const samplesFolder = (runFolder: string): string => join(runFolder, 'samples');

/** What of a launch changes with these events, which come in their order. */
export function doingAfter(
  row: LaunchRow,
  events: readonly Said[],
): Pick<LaunchRow, 'preview' | 'progress' | 'memory'> {
  let { preview, progress, memory } = row;
  for (const event of events) {
    switch (event.event) {
      case 'preview':
        preview = JSON.stringify(previewOf(row, event));
        break;
      case 'progress':
        progress = JSON.stringify(phaseOf(event));
        break;
      case 'memory':
        memory = JSON.stringify(planOf(event));
        break;
      // One sample is made at a time: with any of these the one that was shown is over.
      case 'sample':
        preview = null;
        break;
      case 'step':
      case 'done':
      case 'error':
        preview = progress = null;
    }
  }
  return { preview, progress, memory };
}

function previewOf(launch: LaunchRow, event: EventOf<'preview'>): Preview {
  const { step, epoch, prompt, sampling_step, sampling_steps, file } = event;
  const name = basename(file);
  // A launch's folder is RUN/launches/NAME. Whoever shows the file looks again: this is only its name.
  const expected = join(samplesFolder(dirname(dirname(launch.folder))), name);
  const picture = file === expected && PREVIEW_NAME.test(name) ? name : null;
  return { step, epoch, prompt, sampling_step, sampling_steps, picture };
}

const phaseOf = ({ phase, done, total }: EventOf<'progress'>): Phase => ({
  phase: phase.replaceAll(/\p{C}/gu, '').slice(0, LONGEST_PHASE),
  done,
  total,
});

const planOf = ({ host, nodes, splits, ...plan }: EventOf<'memory'>): MemoryPlan => ({
  ...needOf(plan),
  ...(host === undefined ? {} : { host: needOf(host) }),
  ...(nodes === undefined ? {} : { nodes }),
  ...(splits === undefined ? {} : { splits }),
});

const needOf = ({ total_bytes, available_bytes, parts }: SaidMemory): MemoryNeed => ({
  total_bytes,
  available_bytes: available_bytes ?? null,
  parts: parts.map(({ name, bytes }) => ({ name, bytes })),
});
