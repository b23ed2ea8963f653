import { describe, expect, test } from '@jest/globals';
import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { secondEpoch, trace, type Trace, useTrainer } from './harness.ts';
import { checkpointPath, contents, replaceFile, STEPS } from './job.ts';
import { of } from './launch.ts';

const { place, train, launchJob, whole } = useTrainer();

describe('resuming', () => {
  test.each([1, 7, 19])(
    'from step %i is bit for bit the run that was never stopped',
    async (step) => {
      const { where: other, trace: expected } = await whole();
      const where = await place();
      const before = await train(where, { last_step: step });
      const after = await train(where, { resume: checkpointPath(where, step) });
      expect([...trace(before), ...trace(after)]).toEqual(expected.slice(0, STEPS));
      expect(await contents(checkpointPath(where, STEPS))).toEqual(
        await contents(checkpointPath(other, STEPS)),
      );
    },
  );

  test('after kill -9, twice, too', async () => {
    const { where: other, trace: expected } = await whole();
    const where = await place();
    const recipe = { checkpoints: { every_seconds: 0.05 } };
    const redone = new Map<number, Trace[number]>();
    let resume: string | null = null;
    for (const kill of [true, true, false]) {
      const trained = await launchJob(where, { epoch: 2, last_step: 2 * STEPS, resume, recipe });
      let steps = 0;
      if (kill) {
        await trained.until((event) => event.event === 'step' && ++steps > 4);
        trained.process.kill('SIGKILL');
      }
      const { events, signal } = await trained.finished.catch(() => ({
        events: [],
        signal: 'SIGKILL',
      }));
      expect(signal).toBe(kill ? 'SIGKILL' : undefined);
      for (const step of trace(events)) {
        if (redone.has(step.step)) expect(step).toEqual(redone.get(step.step));
        redone.set(step.step, step);
      }
      const names = (await readdir(join(where.folder, 'checkpoints'))).filter((name) =>
        name.startsWith('step-'),
      );
      const newest = names.sort().at(-1);
      resume = newest === undefined ? null : join(where.folder, 'checkpoints', newest);
    }
    expect([...redone.values()]).toEqual(expected);
    expect(await contents(checkpointPath(where, 2 * STEPS))).toEqual(
      await contents(checkpointPath(other, 2 * STEPS)),
    );
  });

  test('beyond the epochs of its recipe is bit for bit what a longer recipe trains', async () => {
    const { where: other, trace: expected } = await whole();
    const where = await place();
    const recipe = { train: { epochs: 1 } };
    const first = await train(where, { recipe });
    const second = await train(where, { ...secondEpoch(where), recipe });
    expect([...trace(first), ...trace(second)]).toEqual(expected);
    expect(await contents(checkpointPath(where, 2 * STEPS))).toEqual(
      await contents(checkpointPath(other, 2 * STEPS)),
    );
  });

  test('without the moments it would be another run', async () => {
    const { where: other, trace: expected } = await whole();
    const where = await place();
    await cp(checkpointPath(other, STEPS), checkpointPath(where, STEPS), { recursive: true });
    const file = join(checkpointPath(where, STEPS), 'optimizer.safetensors');
    const bytes = await readFile(file);
    bytes.fill(0, 8 + Number(bytes.readBigUInt64LE(0)));
    await replaceFile(checkpointPath(where, STEPS), 'optimizer.safetensors', bytes);
    const steps = trace(await train(where, secondEpoch(where)));
    expect(steps[0]).toEqual(expected[STEPS]); // the first loss is of the same weights …
    expect(steps[1]?.loss).not.toEqual(expected[STEPS + 1]?.loss);
  });

  test('at the last step there is nothing to do, and the checkpoint is announced again', async () => {
    const { where } = await whole();
    const events = await train(where, { resume: checkpointPath(where, STEPS) });
    expect(of(events, 'step')).toEqual([]);
    expect(of(events, 'checkpoint')).toMatchObject([{ step: STEPS, kind: 'epoch', epoch: 1 }]);
    expect(of(events, 'done')).toMatchObject([{ reason: 'finished', step: STEPS }]);
  });

  test('passes go on over the end of an epoch: every picture once a pass', async () => {
    // 20 pictures, 4 a step: 5 steps are a pass.
    const seen: string[] = [];
    const where = await place();
    const events = await train(where, {
      recipe: { train: { batch: 1 } },
      epoch: 2,
      last_step: 2 * STEPS,
    });
    for (const { items_hash } of of(events, 'step')) seen.push(items_hash ?? '');
    const [first, second] = [seen.slice(0, 20), seen.slice(20)];
    expect(new Set(first).size).toBe(20);
    expect(new Set(second)).toEqual(new Set(first));
    expect(second).not.toEqual(first);
  });
});
