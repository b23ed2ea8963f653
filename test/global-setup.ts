import { findEngine } from '../engine/find.ts';

/**
 * The tests run Temporal's real server: it is fetched or built before the first of them, once a
 * machine, so that no test's time limit has to allow for minutes of compiling.
 */
export default async function getEngine(): Promise<void> {
  let saidAt = 0;
  await findEngine({
    log: (line) => console.error(line),
    progress: ({ phase, done, total }) => {
      if (Date.now() - saidAt < 10_000) return;
      saidAt = Date.now();
      console.error(`${phase}: ${done}${total === undefined ? '' : ` of about ${total}`}`);
    },
  });
}
