import type { Command } from 'commander';
import {
  formatBytes,
  formatDuration,
  formatEnergy,
  formatLoss,
  formatMoney,
  plural,
} from '../dashboards/pages/format.ts';
import { progressTexts } from '../dashboards/progress.ts';
import type { Db } from '../db/connection.ts';
import type { MemoryNeed } from '../db/doing.ts';
import {
  epochsForPage,
  evaluationsOfRun,
  type ListedRun,
  newestEvents,
  samplesOfEpoch,
  type ShownEpoch,
  usageOfEpochs,
} from '../db/pages.ts';
import { type PlannedMemory, plannedMemory } from '../db/page-details.ts';
import { type DatasetRow, getDataset } from '../db/datasets.ts';
import { getRun } from '../db/runs.ts';
import { parseAddress, type RunAddress } from './address.ts';
import { type CommonOptions, readingOptions, withRecord } from './context.ts';
import { findEpoch, findListedRun } from './find.ts';
import {
  datasetJson,
  epochJson,
  type LeftOut,
  runJson,
  sampleJson,
  validationJson,
} from './json.ts';
import { print, printJson, table } from './output.ts';
import { dashboardUrl, runUrl } from './running.ts';

type Options = CommonOptions & { json?: boolean };

export const showCommand = (program: Command): Command =>
  readingOptions(program.command('show'))
    .argument('<run[@epoch]>', 'a run by name or id, or one of its epochs', parseAddress)
    .description('show a run, or one of its epochs')
    .action(({ run: name, epoch }: RunAddress, options: Options) =>
      withRecord(options, ({ db }) => {
        const run = findListedRun(db, name);
        if (epoch !== undefined) return showEpoch(db, run, findEpoch(db, run, epoch), options);
        return showRun(db, run, options);
      }),
    );

const usageOf = (db: Db, run: ListedRun) =>
  new Map(usageOfEpochs(db, run.id).map((usage) => [usage.epoch, usage]));

function showRun(db: Db, run: ListedRun, { json }: Options): void {
  const epochs = epochsForPage(db, run.id);
  const usage = usageOf(db, run);
  const dataset = datasetOf(db, run);
  const memory = plannedMemory(db, run.id);
  if (json === true) {
    return printJson({
      ...runJson(db, run),
      dataset: dataset === undefined ? null : datasetJson(dataset),
      memory: memory ?? null,
      recipe: JSON.parse(run.recipe) as unknown,
      epoch_list: epochs.map((epoch) => epochJson(epoch, usage.get(epoch.epoch))),
    });
  }
  const texts = progressTexts(db, run, Date.now());
  const { state, doing, epoch, step, pace, left, energy, money } = texts;
  const now = [state, doing, run.reason ?? ''].filter((each) => each !== '');
  print(`${run.name} (${run.id}): ${now.join(', ')}`);
  const moving = left === '–' ? [] : [pace, `${left} left`];
  print([`epoch ${epoch}`, `step ${step}`, ...moving, energy, money].join(', '));
  print(`${run.trainer} on ${run.device}`);
  if (dataset !== undefined) print(dataWords(dataset));
  if (memory !== undefined) print(memoryWords(memory));
  const url = runUrl(db, run.id);
  if (url !== undefined) print(url);
  if (epochs.length > 0) {
    const headings = ['>epoch', '>train', '>± spread', '>validation', '>seconds', '>cost'];
    print(
      `\n${table(
        headings,
        epochs.map((row) => epochRow(row, usage)),
      )}`,
    );
  }
  const events = newestEvents(db, run.id, 5).toReversed();
  if (events.length > 0) print('');
  for (const { at, message } of events)
    print(`${new Date(at).toLocaleTimeString('en-GB')}  ${message}`);
}

function datasetOf(db: Db, { id }: ListedRun): DatasetRow | undefined {
  const { dataset } = getRun(db, id);
  return dataset === null ? undefined : getDataset(db, dataset);
}

function dataWords({ train_items, validation_items, folder, problems }: DatasetRow): string {
  const left = JSON.parse(problems) as LeftOut[];
  const lines = left
    .slice(0, 5)
    .map(({ file, kind, detail }) => `  left out: ${file} (${kind}): ${detail}`);
  if (left.length > lines.length)
    lines.push(`  and ${left.length - lines.length} more: see --json`);
  return [`${train_items} pictures, ${validation_items} held out, of ${folder}`, ...lines].join(
    '\n',
  );
}

function memoryWords({ stage, host, nodes, splits, ...plan }: PlannedMemory): string {
  const lines = [`${needWords(plan, 'memory')} planned to ${stage}${partWords(plan)}`];
  if (host !== undefined) lines.push(`  and ${needWords(host, "the host's")}${partWords(host)}`);
  if (nodes !== undefined && splits !== undefined)
    lines.push(`  the graph: ${plural(nodes, 'node')} in ${plural(splits, 'split')}`);
  return lines.join('\n');
}
const needWords = ({ total_bytes: total }: MemoryNeed, whose: string): string =>
  `${formatBytes(total)} of ${whose}`;
const partWords = ({ parts }: MemoryNeed): string => {
  const each = parts.map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`).join(', ');
  return each === '' ? '' : `: ${each}`;
};

function epochRow(row: ShownEpoch, usage: ReturnType<typeof usageOf>): string[] {
  const cost = usage.get(row.epoch);
  return [
    String(row.epoch),
    formatLoss(row.trainLoss),
    formatLoss(row.deviation),
    formatLoss(row.validationLoss),
    cost === undefined ? '–' : cost.seconds.toFixed(1),
    cost === undefined ? '–' : formatMoney(cost.money, cost.currency),
  ];
}

function showEpoch(db: Db, run: ListedRun, epoch: ShownEpoch, { json }: Options): void {
  const usage = usageOf(db, run).get(epoch.epoch);
  const samples = samplesOfEpoch(db, run.id, epoch.epoch);
  const validations = ['ema', 'raw']
    .flatMap((weights) => evaluationsOfRun(db, run.id, weights))
    .filter((row) => row.epoch === epoch.epoch);
  if (json === true) {
    return printJson({
      run: run.name,
      ...epochJson(epoch, usage),
      validations: validations.map(validationJson),
      samples: samples.map((sample) => sampleJson(sample, dashboardUrl(db))),
    });
  }
  const { epoch: number, state, firstStep, lastStep } = epoch;
  const steps = number === 0 ? 'the untouched base' : `steps ${firstStep + 1} to ${lastStep}`;
  print(`${run.name}@${number}: ${state}, ${steps}`);
  print(
    `train ${formatLoss(epoch.trainLoss)} ± ${formatLoss(epoch.deviation)} over ${epoch.count ?? 0} steps`,
  );
  if (usage !== undefined) {
    const { seconds, joules, money, currency } = usage;
    print(`${formatDuration(seconds)}, ${formatEnergy(joules)}, ${formatMoney(money, currency)}`);
  }
  for (const { weights, loss, bins } of validations) {
    print(`\nvalidation ${formatLoss(loss)} (${weights} weights)`);
    const rows = bins.map((bin) => [String(bin.timestep), formatLoss(bin.loss)]);
    print(table(['>timestep', '>loss'], rows));
  }
  if (samples.length > 0) {
    const rows = samples.map(({ text, seed, sampler, steps, guidance, width, height, id }) => [
      text.length <= 50 ? text : `${text.slice(0, 49)}…`,
      String(seed),
      `${sampler} ${steps}, guidance ${guidance}`,
      `${width}×${height}`,
      id,
    ]);
    print(`\n${table(['prompt', '>seed', 'sampler', 'size', 'sample'], rows)}`);
  }
}
