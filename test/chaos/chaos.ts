/**
 * `npm run chaos -- --kills 50 --seed 1`: a run is killed at random instants and must end with the
 * very weights of a run that nobody touched. Prints a line a kill, what differs, and one JSON object.
 * `--lora`: adapters of a U-Net and a text encoder on a small Stable Diffusion 1.x base, three shapes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOptions } from '../../bench/tools/options.ts';
import { openRecord } from '../../db/connection.ts';
import { homePaths } from '../../db/home.ts';
import { listEpochs } from '../../db/epochs.ts';
import { getRun, isEnded } from '../../db/runs.ts';
import { sleep } from '../../activities/training/trainer-process.ts';
import { compareRuns } from './compare-runs.ts';
import { chaosRecipe, startChaosRun, writePictures } from './job.ts';
import { loraChaosRecipe, prepareLoraChaos } from './lora-job.ts';
import { kill, type Killed, TARGETS, tell } from './kill.ts';
import { orphans } from './orphans.ts';
import { randomFrom } from '../fixtures/random.ts';
import { startUp } from './up.ts';
import { newestLaunch, untilEnded, untilNextStep } from './wait.ts';

const { kills, seed, epochs, limitS, keep, lora } = readOptions(
  'npm run chaos --',
  process.argv.slice(2),
  { kills: 50, seed: 1, epochs: 5, limitS: 5, keep: false, lora: false },
);
const random = randomFrom(seed);
/** A kill, the way back and some undisturbed training between two kills. */
const SECONDS_A_KILL = 4;
const PROBE_STEPS = 60;

const folder = await mkdtemp(join(tmpdir(), 'tiller-chaos-'));
const home = join(folder, 'home');
const env = { ...process.env, TILLER_HOME: home, TILLER_PORT: '0' };
const recipeOf = lora
  ? await prepareLoraChaos(folder).then((made) => loraChaosRecipe.bind(undefined, made))
  : chaosRecipe.bind(undefined, await writePictures(join(folder, 'pictures')));

let up = await startUp(home, env);
await up.ready();
const db = openRecord(homePaths(home).record);

// How fast is this machine? The run must outlast its kills, and not by much.
const probe = await startChaosRun(db, env, 'probe', recipeOf({ epochs: 1, steps: PROBE_STEPS }));
await untilEnded(db, probe);
const [, first] = listEpochs(db, probe);
const stepSeconds = ((first?.trained_at ?? 0) - (first?.started_at ?? 0)) / PROBE_STEPS / 1000;
const steps = Math.max(20, Math.ceil((kills * SECONDS_A_KILL) / epochs / stepSeconds));
const recipe = recipeOf({ epochs, steps });
console.log(`${epochs} epochs of ${steps} steps, ${(stepSeconds * 1000).toFixed(0)} ms each`);

const calm = await startChaosRun(db, env, 'calm', recipe);
await untilEnded(db, calm);
const storm = await startChaosRun(db, env, 'storm', recipe);

const seconds: number[] = [];
for (let number = 1; number <= kills; number += 1) {
  await sleep(300 + random() * 1_700);
  const target = TARGETS[(number - 1) % TARGETS.length]!;
  let [before, since] = [0, 0];
  let killed: Killed[] = [];
  // Between two trainers there is none.
  for (; killed.length === 0; await sleep(10)) {
    const { state } = getRun(db, storm);
    if (isEnded(state))
      throw new Error(`the run is ${state} after ${number - 1} kills: nothing is left to kill`);
    before = newestLaunch(db, storm);
    killed = await kill(db, storm, target);
    since = Date.now();
  }
  if (target === 'all') {
    up = await startUp(home, env);
    since = up.at;
  }
  const dead = killed.some(({ role }) => role === 'trainer') ? before : undefined;
  const took = await untilNextStep(db, storm, since, dead);
  seconds.push(took);
  console.log(
    `${String(number).padStart(4)} ${target.padEnd(9)} ${tell(killed).padEnd(28)} next step after ${took.toFixed(2)} s`,
  );
}
await untilEnded(db, storm);

const { lost, doubled, samplesMissing, identical, differences } = compareRuns(db, calm, storm);
await up.stop();
const left = await orphans(home);
for (const line of differences) console.log(`differs: ${line}`);
for (const line of left) console.log(`orphan: ${line}`);
const sorted = seconds.toSorted((a, b) => a - b);
const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
const worst = sorted.at(-1) ?? 0;
console.log(
  JSON.stringify({
    kills,
    lost,
    doubled,
    samples_missing: samplesMissing,
    identical,
    orphans: left.length,
    median_s: Number(median.toFixed(2)),
    worst_s: Number(worst.toFixed(2)),
  }),
);
db.close();
if (keep) console.log(`kept: ${folder}`);
else await rm(folder, { recursive: true, force: true });
const good = identical && lost + doubled + samplesMissing + left.length === 0 && worst <= limitS;
process.exit(good ? 0 : 1);
