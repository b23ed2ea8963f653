/** What the native trainer can train on, asked of the trainer itself. */
import { execa } from 'execa';
import { z } from 'zod';
import { buildNative } from '../native/build.ts';

const answer = z.object({
  devices: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      description: z.string().default(''),
      memory_bytes: z.number().default(0),
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

/** `device: auto`: a card if there is one, else the CPU. */
export async function bestDevice(env: NodeJS.ProcessEnv): Promise<(typeof GPUS)[number] | 'cpu'> {
  const devices = await listDevices(env);
  return (
    GPUS.find((gpu) => devices.some(({ name }) => name.toLowerCase().startsWith(gpu))) ?? 'cpu'
  );
}
