import { describe, expect, test } from '@jest/globals';
import { readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { useTrainer } from './harness.ts';
import { checkpointPath, contents, type JobChanges, STEPS } from './job.ts';
import { of } from './launch.ts';

const { place, launchJob, whole } = useTrainer();

describe('commands', () => {
  const long: JobChanges = { last_step: 5000, recipe: { train: { steps_per_epoch: 5000 } } };

  test('save, sample, set, and stop', async () => {
    const where = await place();
    const trained = await launchJob(where, long);
    await trained.until((event) => event.event === 'step');
    trained.send({ command: 'save', request: 'a' });
    trained.send({ command: 'sample', request: 'b', prompts: [1] });
    trained.send('this is not JSON');
    trained.send(JSON.stringify({ command: 'sample', request: 'odd', prompts: [1, 'first'] }));
    trained.send({ command: 'set', lr_factor: 0.5 });
    await trained.until((event) => event.event === 'sample');
    trained.send({ command: 'stop', request: 'c' });
    const { code, events } = await trained.finished;
    expect(code).toBe(0);
    expect(of(events, 'acknowledged').map(({ request }) => request)).toEqual([
      'a',
      'b',
      'odd',
      'c',
    ]);
    expect(of(events, 'sample')).toMatchObject([
      { prompt: 1, request: 'b', weights: 'ema', width: 32, height: 8 },
    ]);
    expect(of(events, 'warning')).toMatchObject([
      { code: 'COMMAND_UNREADABLE' },
      { code: 'COMMAND_REFUSED', message: 'sample: "first" is not a prompt\'s index' },
    ]);
    const saved = of(events, 'checkpoint');
    expect(saved.map(({ kind }) => kind)).toEqual(['requested', 'requested']);
    const [done] = of(events, 'done');
    expect(done).toMatchObject({
      reason: 'stopped',
      checkpoint: saved[1]?.path,
      step: saved[1]?.step,
    });
    expect(events.at(-1)).toBe(done);
    const last = of(events, 'step').at(-1);
    expect(last?.lr).toBeCloseTo(0.0005 * Math.min(1, (last?.step ?? 0) / 5), 9);
    const state = JSON.parse(
      await readFile(join(saved[1]?.path ?? '', 'state.json'), 'utf8'),
    ) as unknown;
    expect(state).toMatchObject({ learning_rate_factor: 0.5 });
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s stops at a checkpoint', async (signal) => {
    const trained = await launchJob(await place(), long);
    await trained.until((event) => event.event === 'step');
    trained.process.kill(signal);
    const { code, events } = await trained.finished;
    expect([code, of(events, 'done')]).toMatchObject([0, [{ reason: 'stopped' }]]);
    expect(of(events, 'checkpoint')).toMatchObject([{ kind: 'requested' }]);
  });

  test('sampling changes nothing of the run', async () => {
    const { where: other } = await whole();
    const where = await place();
    const trained = await launchJob(where, {});
    for (let i = 0; i < 3; i++) trained.send({ command: 'sample', request: `${i}` });
    const { events } = await trained.finished;
    expect(of(events, 'sample')).toHaveLength(6);
    expect(await contents(checkpointPath(where, STEPS))).toEqual(
      await contents(checkpointPath(other, STEPS)),
    );
  });

  test('a trainer that nobody follows saves and leaves; one that is followed stays', async () => {
    const where = await place();
    const follow_file = join(where.folder, 'followed');
    const trained = await launchJob(where, {
      ...long,
      orphan: { follow_file, after_seconds: 0.6 },
    });
    for (let i = 0; i < 12; i++) {
      await sleep(100);
      await utimes(follow_file, new Date(), new Date());
    }
    expect(process.kill(trained.process.pid ?? 0, 0)).toBe(true);
    const { code, events } = await trained.finished;
    expect([code, of(events, 'done')]).toMatchObject([0, [{ reason: 'orphaned' }]]);
    expect(of(events, 'checkpoint')).toMatchObject([{ step: of(events, 'step').at(-1)?.step }]);
  });
});
