/**
 * A dashboard alone in a process, asked for a long curve while a worker appends to it:
 *
 *     node bench/tools/curve-route.ts RECORD RUN STEPS
 *
 * Prints milliseconds and mebibytes as one JSON object.
 */
import { createServer } from '../../dashboards/app.ts';
import { buildAssets } from '../../dashboards/assets.ts';
import { openRecord } from '../../db/connection.ts';
import { appendColumns } from '../../db/metrics.ts';
import { median, startClock } from './clock.ts';
import { valueAt } from './curve.ts';

export interface CurveRouteFigures {
  /** the first answer, nothing of the curve being in memory; then after each new step, the median */
  first: number;
  update: number;
  /** the same against hours of training and against cost: two curves are read */
  firstHours: number;
  updateHours: number;
  updateCost: number;
  /** a tenth of the curve, after a new step */
  zoomed: number;
  /** what the process's memory grows by from before the first answer to its peak */
  mebibytes: number;
  /** of an answer */
  kibibytes: number;
}

const UPDATES = 15;
/** Pixels that a chart is wide on a screen of 1440. */
const BUCKETS = 1_300;

const mebibytes = (): number => process.resourceUsage().maxRSS / 1024;

async function measure(file: string, run: string, steps: number): Promise<CurveRouteFigures> {
  const db = openRecord(file);
  const worker = openRecord(file);
  const server = createServer({
    db,
    artifacts: '/nowhere',
    runs: '/nowhere',
    assets: await buildAssets(),
    sendRequest: () => Promise.reject(new Error('nobody asks anything here')),
    onError: (error) => {
      throw error;
    },
  });
  let step = steps;
  let answer = '';
  const ask = async (query: string): Promise<number> => {
    const read = startClock();
    const response = await server.app.request(
      `http://127.0.0.1/runs/${run}/curve?buckets=${BUCKETS}&smooth=0.97${query}`,
      { headers: { host: '127.0.0.1' } },
    );
    answer = await response.text();
    const { seconds } = read();
    const { lastStep } = JSON.parse(answer) as { lastStep: number | null };
    if (lastStep !== step) throw new Error(`the curve ends at step ${lastStep}, not at ${step}`);
    return seconds * 1_000;
  };
  const append = (): void => {
    step += 1;
    const steps = Float64Array.of(step);
    worker.raw.transaction(() => {
      appendColumns(worker, run, 'loss', { steps, values: Float64Array.of(valueAt(step)) });
      appendColumns(worker, run, 'ms', { steps, values: Float64Array.of(200) });
    })();
  };
  const updates = async (query: string): Promise<number> => {
    const took: number[] = [];
    for (let update = 0; update < UPDATES; update += 1) {
      append();
      took.push(await ask(query));
    }
    return median(took);
  };
  const before = mebibytes();
  const first = await ask('');
  const update = await updates('');
  const kibibytes = answer.length / 1024;
  const zoomed = await updates(`&from=${Math.floor(steps * 0.9)}`);
  const firstHours = await ask('&x=hours');
  const updateHours = await updates('&x=hours');
  const updateCost = await updates('&x=cost');
  server.close();
  const peak = mebibytes() - before;
  return { first, update, zoomed, firstHours, updateHours, updateCost, mebibytes: peak, kibibytes };
}

const [, , file = '', run = '', steps = '0'] = process.argv;
console.log(JSON.stringify(await measure(file, run, Number(steps))));
