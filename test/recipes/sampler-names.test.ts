import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { findSampler, SAMPLERS } from '../../recipes/sampler-names.ts';

describe('names of samplers', () => {
  test.each(SAMPLERS)('%s is itself', (name) => {
    expect(findSampler(name)).toEqual({ sampler: name, karras: name === 'dpm++2m-karras' });
  });

  test('are those of the trainer', () => {
    const settings = resolve(import.meta.dirname, '../../native/diffusion/samplers/settings.h');
    const [, list] = /known_samplers\(\) \{[^{]*\{([^}]*)\}/.exec(
      readFileSync(settings, 'utf8'),
    ) ?? ['', ''];
    expect([...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name)).toEqual([...SAMPLERS]);
  });

  test.each([
    // A1111
    ['DDIM', 'ddim'],
    ['Euler', 'euler'],
    ['Euler a', 'euler-a'],
    ['Heun', 'heun'],
    ['DPM++ 2M', 'dpm++2m'],
    ['UniPC', 'unipc'],
    ['k_dpmpp_2m', 'dpm++2m'],
    // diffusers
    ['DDIMScheduler', 'ddim'],
    ['EulerDiscreteScheduler', 'euler'],
    ['EulerAncestralDiscreteScheduler', 'euler-a'],
    ['HeunDiscreteScheduler', 'heun'],
    ['DPMSolverMultistepScheduler', 'dpm++2m'],
    ['UniPCMultistepScheduler', 'unipc'],
    // kohya's sd-scripts
    ['euler_a', 'euler-a'],
    ['k_euler', 'euler'],
    ['k_euler_a', 'euler-a'],
    ['dpmsolver++', 'dpm++2m'],
    // ComfyUI
    ['euler_ancestral', 'euler-a'],
    ['dpmpp_2m', 'dpm++2m'],
    ['uni_pc', 'unipc'],
    ['uni_pc_bh2', 'unipc'],
    // the paper, and other spellings
    ['DPM-Solver++(2M)', 'dpm++2m'],
    ['  euler  A ', 'euler-a'],
  ])('%s is %s', (name, sampler) => {
    expect(findSampler(name)).toEqual({ sampler, karras: false });
  });

  test.each([
    ['DPM++ 2M Karras', 'dpm++2m-karras'],
    ['dpmpp_2m_karras', 'dpm++2m-karras'],
    ['k_dpmpp_2m_ka', 'dpm++2m-karras'],
    ['dpmpp_2m_k', 'dpm++2m-karras'],
    ['Euler Karras', 'euler'],
    ['euler_k', 'euler'],
    ['Heun Karras', 'heun'],
    ['UniPC Karras', 'unipc'],
  ])("%s is %s with Karras's levels", (name, sampler) => {
    expect(findSampler(name)).toEqual({ sampler, karras: true });
  });

  test.each(
    [
      ['', 'karras', 'k_', 'plms', 'PNDM', 'k_lms', 'LMS Karras', 'k_dpm_2', 'DPM2 a', 'dpmsolver'],
      ['DPM++ SDE', 'DPM++ 2M SDE', 'DPM++ 2S a', 'DPM++ 3M SDE', 'constructor', '__proto__'],
    ].flat(),
  )('%s is none of ours', (name) => expect(findSampler(name)).toBeUndefined());
});
