/** The state of engine, worker and device in one dot and a few words. */
import type { Db } from '../db/connection.ts';
import { busyDevices, listProcesses } from '../db/page-details.ts';
import { isAlive } from '../db/processes.ts';
import type { HouseState } from './pages/layout.ts';

const needed = ['engine', 'worker'];

export const houseState = (db: Db): HouseState => {
  const processes = listProcesses(db);
  const down = needed.filter((role) => {
    const found = processes.find((process) => process.role === role);
    return found === undefined || found.state !== 'healthy' || !isAlive(found.pid, found.start);
  });
  if (down.length > 0) {
    const starting = processes.some(
      (process) => down.includes(process.role) && process.state === 'starting',
    );
    const verb = down.length === 1 ? 'is' : 'are';
    return {
      tone: starting ? 'busy' : 'bad',
      words: `${down.join(' and ')} ${verb} ${starting ? 'starting' : 'not running'}`,
    };
  }
  const [busy] = busyDevices(db);
  return busy === undefined
    ? { tone: 'ok', words: 'ready' }
    : { tone: 'busy', words: `${busy.name}: ${busy.runName}` };
};
