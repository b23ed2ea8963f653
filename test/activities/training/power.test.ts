import { describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { startPowerMeter } from '../../../activities/training/power.ts';
import { sleep } from '../../../activities/training/trainer-process.ts';

const fake = join(import.meta.dirname, '..', '..', 'fixtures', 'fake-nvidia-smi');
const withFake = { PATH: `${fake}:${process.env['PATH']}` };

describe('the power of a card', () => {
  test('is the mean of its readings; what is no number is left out', async () => {
    const meter = startPowerMeter('cuda:1', withFake);
    while (meter?.watts() !== 200) await sleep(10);
    meter.stop();
  });

  test('is not known where the tool fails or is not there', async () => {
    for (const env of [withFake, { PATH: '/nowhere' }]) {
      const meter = startPowerMeter('cuda:7', env);
      await sleep(200);
      expect(meter?.watts()).toBeNull();
      meter?.stop();
    }
  });

  test('is not asked for on a processor', () => {
    expect(startPowerMeter('cpu', withFake)).toBeNull();
  });
});
