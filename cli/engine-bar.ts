import type { EngineProgress } from '../engine/find.ts';
import type { Bar, Screen } from './screen.ts';

/** A bar for getting the engine, which is there only while it is being got. */
export function engineBar(screen: Screen) {
  let bar: Bar | undefined;
  return {
    update: (progress: EngineProgress): void => {
      bar ??= screen.bar('engine');
      const { phase, done, total } = progress;
      const amount = phase === 'download' ? `${Math.round(done / 1e6)} MB` : String(done);
      bar.update(
        total === undefined || total === 0 ? undefined : done / total,
        `${phase} ${amount}`,
      );
    },
    end: (): void => {
      bar?.end();
      bar = undefined;
    },
  };
}
