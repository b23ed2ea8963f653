/** What the tests of tiller-diffusion share: the program, its data, and the run that was never killed. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildNative } from '../../../native/build.ts';
import type { TrainerEvent } from '../../../native/protocol.ts';
import {
  checkpointPath,
  type JobChanges,
  jobFor,
  newRun,
  type Place,
  STEPS,
  writeData,
} from './job.ts';
import { launch, of, run, type Finished, type Running } from './launch.ts';

/** All that must be the same in a step that is done again. */
export const trace = (events: readonly TrainerEvent[]) =>
  of(events, 'step').map(({ step, epoch, loss, lr, grad_norm, seen, items_hash }) => {
    return { step, epoch, loss, lr, grad_norm, seen, items_hash };
  });

export type Trace = ReturnType<typeof trace>;

export const secondEpoch = (where: Place): JobChanges => ({
  epoch: 2,
  first_step: STEPS,
  last_step: 2 * STEPS,
  resume: checkpointPath(where, STEPS),
});

/** To be called at the top of a test file: builds the trainer, and cleans up. */
export function useTrainer() {
  let root = '';
  let manifest = '';
  let trainer = '';
  let places = 0;
  let made: Promise<{ where: Place; trace: Trace }> | undefined;

  beforeAll(async () => {
    process.env['TILLER_ONEDNN'] = '/nowhere'; // our own kernels, whatever this machine has
    root = await mkdtemp(join(tmpdir(), 'tiller-diffusion-'));
    manifest = await writeData(join(root, 'data'));
    trainer = (await buildNative('tiller-diffusion')).path;
  }, 900_000);

  afterAll(() => rm(root, { recursive: true, force: true }));

  const place = (folder = `run-${places++}`): Promise<Place> =>
    newRun(join(root, folder), manifest);
  const runJob = (where: Place, changes: JobChanges = {}): Promise<Finished> =>
    run(trainer, jobFor(where, changes));
  /** Does a job and insists that it ended well. */
  const train = async (where: Place, changes: JobChanges = {}): Promise<TrainerEvent[]> => {
    const finished = await runJob(where, changes);
    expect(finished).toMatchObject({ code: 0 });
    return finished.events;
  };

  return {
    path: (name: string): string => join(root, name),
    program: (): string => trainer,
    place,
    runJob,
    launchJob: (where: Place, changes: JobChanges = {}): Promise<Running> =>
      launch(trainer, jobFor(where, changes)),
    train,
    /** The run that was never killed: two epochs. */
    whole: () =>
      (made ??= (async () => {
        const where = await place();
        const first = await train(where);
        const second = await train(where, secondEpoch(where));
        return { where, trace: [...trace(first), ...trace(second)] };
      })()),
  };
}
