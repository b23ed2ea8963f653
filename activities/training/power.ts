/** Reads the power of a card while a trainer runs, where `nvidia-smi` is there. */
import { createInterface } from 'node:readline';
import { execa } from 'execa';

export interface PowerMeter {
  /** mean watts so far; null before the first reading */
  watts(): number | null;
  stop(): void;
}

/**
 * @param device `cuda` or `cuda:<index>`; anything else has no meter
 * @returns null where nothing can be read: then the recipe's watts are used
 */
export function startPowerMeter(device: string, env: NodeJS.ProcessEnv): PowerMeter | null {
  const [kind, index = '0'] = device.split(':');
  if (kind !== 'cuda') return null;
  const query = ['--query-gpu=power.draw', '--format=csv,noheader,nounits', '-lms', '1000'];
  const child = execa('nvidia-smi', [...query, '-i', index], {
    env,
    extendEnv: false,
    reject: false,
    buffer: false,
    stdin: 'ignore',
    stderr: 'ignore',
  });
  let sum = 0;
  let readings = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const watts = Number.parseFloat(line);
    if (!Number.isFinite(watts)) return;
    sum += watts;
    readings += 1;
  });
  return {
    watts: () => (readings === 0 ? null : sum / readings),
    stop: () => {
      child.kill('SIGTERM');
    },
  };
}
