import { join } from 'node:path';
import { test } from '@jest/globals';
import { expectChecks } from '../checks.ts';

const goldenFile = (name: string) => join(import.meta.dirname, '../../golden', name);

test('schedules and samplers as diffusers has them; codecs, words, draws', async () => {
  await expectChecks('diffusion_test', 66, [goldenFile('schedules.json')]);
}, 300_000);

test('samplers, spacings, zero terminal SNR and noise offset as diffusers has them', async () => {
  await expectChecks('sampler_test', 397, [goldenFile('samplers.json')]);
}, 300_000);

test('picture to picture, inpainting, outpainting', async () => {
  await expectChecks('inpainting_test', 234, [goldenFile('samplers.json')]);
}, 300_000);
