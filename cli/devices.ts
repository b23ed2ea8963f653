/** What the native trainer can train on, asked of the trainer itself. */
import { execa, ExecaError } from 'execa';
import { z } from 'zod';
import { buildNative } from '../native/build.ts';
import { TillerError } from '../recipes/errors.ts';

const answer = z.object({
  devices: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      type: z.enum(['discrete', 'integrated', 'cpu']).default('cpu'),
      description: z.string().default(''),
      memory_bytes: z.number().default(0),
      bf16: z.string().optional(),
      no_bf16: z.string().optional(),
    }),
  ),
});

export type Device = z.infer<typeof answer>['devices'][number];

const GPUS = ['cuda', 'metal', 'vulkan'] as const;

/** Compiles the trainer if it must. */
export async function listDevices(
  env: NodeJS.ProcessEnv,
  log?: (line: string) => void,
): Promise<Device[]> {
  const { path } = await buildNative('tiller-diffusion', {
    env,
    ...(log === undefined ? {} : { log }),
  });
  const { stdout } = await execa(path, ['devices'], { env, extendEnv: false, stdin: 'ignore' });
  return answer.parse(JSON.parse(stdout)).devices;
}

/** `device: auto`: what is computed on, and why. */
export interface Choice {
  kind: 'cpu' | (typeof GPUS)[number];
  words: string;
}

/** CUDA before Metal before Vulkan, each only on a card; of Vulkan's several the trainer takes the best. */
export function bestOf(devices: readonly Device[]): Choice {
  const cards = devices.filter(({ type }) => type !== 'cpu');
  for (const kind of GPUS) {
    const ofKind = cards.filter((card) => card.kind === kind);
    const card = ofKind.find(({ type }) => type === 'discrete') ?? ofKind[0];
    if (card !== undefined) return { kind, words: `${kind} (${card.name}: ${card.description})` };
  }
  return { kind: 'cpu', words: 'cpu, as there is no GPU' };
}

/** Of a processor that is fast at BF16, and of no other. */
export function bf16Words(devices: readonly Device[]): string {
  const { bf16, no_bf16: why } = devices.find(({ kind }) => kind === 'cpu') ?? {};
  if (bf16 !== undefined) return `; cpu multiplies in bf16 by ${bf16}`;
  return why === undefined ? '' : `; cpu has AMX, which stays unused: ${why}`;
}

/** Errors: DEVICE_MISSING, where the devices can't be listed. */
export async function bestDevice(
  env: NodeJS.ProcessEnv,
  log?: (line: string) => void,
): Promise<Choice> {
  try {
    return bestOf(await listDevices(env, log));
  } catch (cause) {
    if (!(cause instanceof ExecaError)) throw cause;
    throw new TillerError('DEVICE_MISSING', `The devices can't be listed: ${cause.shortMessage}`, {
      hint: 'Name one in the recipe, such as `device: cpu`. `tiller doctor` says more.',
      cause,
    });
  }
}
