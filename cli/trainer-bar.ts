import { buildNative } from '../native/build.ts';
import type { Screen } from './screen.ts';

/** Compiles the trainer, with a clock: how long a compiler will take it doesn't say. */
export async function buildTrainer(
  env: NodeJS.ProcessEnv,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  const begin = Date.now();
  const bar = screen.bar('trainer');
  const seconds = () => ((Date.now() - begin) / 1000).toFixed(0);
  const timer = setInterval(() => bar.update(undefined, `compiling, ${seconds()} s`), 500);
  try {
    const { cached, seconds } = await buildNative('tiller-diffusion', { env, signal });
    bar.end(`trainer   ${cached ? 'compiled already' : `compiled in ${seconds.toFixed(0)} s`}`);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(timer);
    bar.end();
  }
}
