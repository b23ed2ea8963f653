import type { Command } from 'commander';
import { factsOf } from '../dashboards/comparison.ts';
import { pairSamples } from '../dashboards/pairing.ts';
import type { Facts, SideFacts } from '../dashboards/pages/compare-facts.ts';
import { costWords, lossWords } from '../dashboards/pages/compare-facts.ts';
import {
  formatDelta,
  formatGap,
  formatDuration,
  formatEnergy,
  formatLoss,
  formatMoney,
} from '../dashboards/pages/format.ts';
import type { Db } from '../db/connection.ts';
import { type ListedRun, samplesOfEpoch } from '../db/pages.ts';
import { meanDifference, type MeanDifference } from '../ranking/mean-difference.ts';
import { parseEpochAddress, type RunAddress } from './address.ts';
import { type CommonOptions, readingOptions, withRecord } from './context.ts';
import { findEpoch, findListedRun } from './find.ts';
import { sampleJson } from './json.ts';
import { print, printJson, table } from './output.ts';
import { compareUrl, dashboardUrl } from './running.ts';

interface Side {
  run: ListedRun;
  epoch: number;
}

type Pairs = ReturnType<typeof pairSamples>;

export const compareCommand = (program: Command): Command =>
  readingOptions(program.command('compare'))
    .argument('<a>', 'an epoch, such as emoji@10', parseEpochAddress)
    .argument(
      '<b>',
      'another, of the same run or of another one, such as emoji@13',
      parseEpochAddress,
    )
    .description('set two epochs side by side, and say where the page with their pictures is')
    .action(
      (
        first: Required<RunAddress>,
        second: Required<RunAddress>,
        options: CommonOptions & { json?: boolean },
      ) =>
        withRecord(options, ({ db }) => {
          const [a, b] = [sideOf(db, first), sideOf(db, second)];
          const facts = factsOf(db, a, b);
          const pairs = pairSamples(
            samplesOfEpoch(db, a.run.id, a.epoch),
            samplesOfEpoch(db, b.run.id, b.epoch),
            [],
          );
          if (options.json === true) return printJson(compareJson(db, [a, b], facts, pairs));
          printTables(facts, pairs);
          return print(
            `\n${urlOf(db, a, b) ?? 'The pictures are on the compare page: start `tiller up`.'}`,
          );
        }),
    );

function sideOf(db: Db, { run: name, epoch }: Required<RunAddress>): Side {
  const run = findListedRun(db, name);
  return { run, epoch: findEpoch(db, run, epoch).epoch };
}

const urlOf = (db: Db, a: Side, b: Side): string | undefined =>
  compareUrl(db, { run: a.run.id, epoch: a.epoch }, { run: b.run.id, epoch: b.epoch });

function printTables({ a, b, bins, currency, ...facts }: Facts, pairs: Pairs): void {
  const change = (pick: (side: SideFacts) => number | null): string => {
    const [left, right] = [pick(a), pick(b)];
    return left === null || right === null ? '–' : formatDelta(right - left);
  };
  const train = ({ train }: SideFacts): string =>
    train === null
      ? '–'
      : `${formatLoss(train.mean)} ± ${formatLoss(train.deviation)} (n ${train.count ?? '–'})`;
  const row = (name: string, say: (side: SideFacts) => string, difference = '') => [
    name,
    say(a),
    say(b),
    difference,
  ];
  print(
    table(
      ['', `>A: ${a.name}`, `>B: ${b.name}`, '>B − A'],
      [
        row(
          'validation loss',
          (side) => formatLoss(side.validation),
          change((side) => side.validation),
        ),
        ...bins.map(({ timestep, a: left, b: right }) => [
          `  at timestep ${timestep}`,
          formatLoss(left),
          formatLoss(right),
          left === null || right === null ? '–' : formatDelta(right - left),
        ]),
        row('training loss', train, trainWords(trainDifference(a, b))),
        row('steps', ({ steps }) => String(steps)),
        row('device time', ({ seconds }) => formatDuration(seconds)),
        row('energy', ({ joules }) => formatEnergy(joules)),
        row('cost', ({ money }) => formatMoney(money, currency)),
      ],
    ),
  );
  const all: Facts = { a, b, bins, currency, ...facts };
  print(`\n${lossWords(all)} ${costWords(all)}`);
  print('');
  if (facts.settings.length === 0) print('No setting differs.');
  else
    print(
      table(
        ['setting that differs', 'A', 'B'],
        facts.settings.map(({ key, a, b }) => [key, a, b]),
      ),
    );
  for (const line of pairWords(pairs)) print(line);
}

/** Each step has other noise, so that the means of two epochs differ by chance, too. */
function trainDifference({ train: a }: SideFacts, { train: b }: SideFacts): MeanDifference | null {
  if (!a || !b || a.deviation === null || b.deviation === null) return null;
  const sample = ({ mean, deviation, count }: NonNullable<SideFacts['train']>) => ({
    mean,
    deviation: deviation ?? 0,
    n: count ?? 0,
  });
  return meanDifference(sample(a), sample(b));
}

const trainWords = (found: MeanDifference | null): string =>
  found === null ? '–' : `${formatDelta(found.difference)} ± ${formatGap(found.margin)}`;

/** How many pictures can be compared, and what keeps the others from it. */
function pairWords(pairs: Pairs): string[] {
  const equal = pairs.filter(
    ({ a, b, differs }) => a !== undefined && b !== undefined && differs.length === 0,
  );
  const lines = pairs.flatMap(({ text, a, b, differs }) => {
    if (a === undefined || b === undefined)
      return [`  ${text}: not sampled at ${a === undefined ? 'A' : 'B'}`];
    return differs.length === 0 ? [] : [`  ${text}: differs in ${differs.join(', ')}`];
  });
  return [
    `\n${equal.length} of ${pairs.length} pictures have the same prompt, seed and sampler on both sides.`,
    ...lines,
  ];
}

function compareJson(db: Db, [a, b]: [Side, Side], facts: Facts, pairs: Pairs) {
  const url = dashboardUrl(db);
  const side = (
    { run, epoch }: Side,
    { validation, train, steps, seconds, joules, money }: SideFacts,
  ) => ({
    run: run.name,
    epoch,
    validation_loss: validation,
    train_loss: train?.mean ?? null,
    train_loss_deviation: train?.deviation ?? null,
    train_loss_count: train?.count ?? null,
    steps,
    device_seconds: seconds,
    kwh: joules / 3_600_000,
    money,
  });
  return {
    a: side(a, facts.a),
    b: side(b, facts.b),
    incomparable: facts.incomparable,
    /** B − A, with half the width of its 95 % interval. */
    train_loss_difference: trainDifference(facts.a, facts.b),
    bins: facts.bins,
    settings: facts.settings,
    extra_kwh: (facts.b.joules - facts.a.joules) / 3_600_000,
    extra_money: facts.b.money - facts.a.money,
    currency: facts.currency,
    samples: pairs.map(({ text, negative, a: left, b: right, differs }) => ({
      prompt: text,
      negative,
      differs,
      a: left === undefined ? null : sampleJson(left, url),
      b: right === undefined ? null : sampleJson(right, url),
    })),
    url: urlOf(db, a, b) ?? null,
  };
}
