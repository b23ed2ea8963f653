import { join } from 'node:path';
import { test } from '@jest/globals';
import { expectChecks } from '../checks.ts';

test('schedules and samplers as diffusers has them; codecs, words, draws', async () => {
  const golden = join(import.meta.dirname, '../../golden/schedules.json');
  await expectChecks('diffusion_test', 67, [golden]);
}, 300_000);
