/**
 * `npm run test:vulkan`: the graph tests and whole runs on Vulkan, by Mesa's lavapipe. Prints a table and, as the last line, one JSON object. Exit codes: 0 all is well, 1 a check
 * failed or a program broke off, 2 there is no Vulkan device to test on.
 */
import { buildNative } from '../../native/build.ts';
import { graphPrograms } from '../native/graph-programs.ts';
import { endToEnd, type Training, whatAutoTakes } from './end-to-end.ts';
import { missing, vulkanEnvironment } from './lavapipe.ts';
import { runProgram, type Outcome } from './program.ts';
import { row, summary, title, trainingFigures, trainingWords } from './table.ts';

const found = vulkanEnvironment(process.env);
if (found === null) noDevice('lavapipe is not installed');

const outcomes: Outcome[] = [];
console.log(title);
for (const program of graphPrograms) {
  const { path } = await buildNative(program.name, { log: (line) => console.error(line) });
  const outcome = await runProgram({ ...program, path }, { ...process.env, ...found });
  if (outcome.noDevice !== undefined) noDevice(outcome.noDevice);
  outcomes.push(outcome);
  console.log(row(outcome));
}
const auto = await whatAutoTakes({ ...process.env, ...found });
outcomes.push({
  name: 'device_auto',
  checks: [auto],
  seconds: 0,
  device: '',
  complaints: auto.ok ? [] : [auto.check],
});
const trainings: Training[] = [];
await endToEnd(found, (outcome) => {
  trainings.push(outcome);
  console.log(row(outcome));
});
outcomes.push(...trainings);
for (const training of trainings) console.log(trainingWords(training));
for (const { name, complaints } of outcomes) {
  for (const complaint of complaints) console.log(`${name}: ${complaint}`);
}
const total = summary(outcomes);
console.log(JSON.stringify({ ...total, trainings: trainings.map(trainingFigures) }));
process.exitCode = total.failed === 0 ? 0 : 1;

function noDevice(why: string): never {
  console.log(missing(why));
  process.exit(2);
}
