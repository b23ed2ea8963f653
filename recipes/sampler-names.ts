/**
 * Samplers by the names that other programs have for them, so that a setting can be moved over as it
 * is. Pure; what each sampler is stands in native/diffusion/samplers/.
 */

/** As in native/diffusion/samplers/settings.h. */
export const SAMPLERS = [
  'ddim',
  'euler',
  'euler-a',
  'heun',
  'dpm++2m',
  'dpm++2m-karras',
  'unipc',
] as const;

export type SamplerName = (typeof SAMPLERS)[number];

export interface NamedSampler {
  sampler: SamplerName;
  /** Whether the name asks for Karras's noise levels. */
  karras: boolean;
}

/**
 * Written without capitals, spaces, dots, dashes, underscores and parentheses, and without `k_` in front
 * and Karras behind. Not here, for they are other samplers: `dpmsolver` without ++, DPM2, LMS, PNDM, DPM++
 * SDE, 2S and 3M.
 */
const ALIASES: Readonly<Record<string, SamplerName>> = {
  ddim: 'ddim',
  ddimscheduler: 'ddim',
  euler: 'euler',
  eulerdiscrete: 'euler',
  eulerdiscretescheduler: 'euler',
  eulera: 'euler-a',
  eulerancestral: 'euler-a',
  eulerancestraldiscrete: 'euler-a',
  eulerancestraldiscretescheduler: 'euler-a',
  heun: 'heun',
  heundiscrete: 'heun',
  heundiscretescheduler: 'heun',
  'dpm++2m': 'dpm++2m',
  dpmpp2m: 'dpm++2m',
  'dpm++': 'dpm++2m',
  'dpmsolver++': 'dpm++2m',
  'dpmsolver++2m': 'dpm++2m',
  dpmsolvermultistep: 'dpm++2m',
  dpmsolvermultistepscheduler: 'dpm++2m',
  unipc: 'unipc',
  unipcbh2: 'unipc',
  unipcmultistep: 'unipc',
  unipcmultistepscheduler: 'unipc',
};

/** Karras in words (A1111), `_ka` (A1111's short names) and `_k` (InvokeAI). */
const KARRAS = /[\s_-]+(?:karras|ka|k)$/;

/** Undefined for a name of no sampler of ours. */
export function findSampler(name: string): NamedSampler | undefined {
  const written = name.trim().toLowerCase();
  const plain = written.replace(KARRAS, '');
  const key = plain.replace(/^(?:sample_)?k_/, '').replace(/[\s._()-]/g, '');
  const found = Object.hasOwn(ALIASES, key) ? ALIASES[key] : undefined;
  if (found === undefined) return undefined;
  const karras = plain !== written;
  return { sampler: karras && found === 'dpm++2m' ? 'dpm++2m-karras' : found, karras };
}
