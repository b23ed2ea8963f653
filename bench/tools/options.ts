/** The options of a developer's command: each has a default, and what it may be follows from that. */
import { Command, InvalidArgumentError } from 'commander';
import { parsePositive } from '../../cli/address.ts';

export type Options = Record<string, number | number[] | string[] | boolean>;

/**
 * Integers of 1 or more, lists of them with commas between, switches that are off, and some of the words
 * that are all there by default.
 * Ends the process with 2 where an option is unknown or none of these: a typing mistake must not
 * be measured, and no kill at all must not count as survived.
 * @param usage what is in front of the options: "npm run chaos --"
 */
export function readOptions<Given extends Options>(
  usage: string,
  args: readonly string[],
  defaults: Given,
): Given {
  const command = new Command(usage)
    .allowExcessArguments(false)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
  for (const [name, value] of Object.entries(defaults)) {
    const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (isWords(value)) command.option(`${flag} <words>`, '', parseWords(value), value);
    else if (Array.isArray(value)) command.option(`${flag} <list>`, '', parseList, value);
    else if (typeof value === 'number') command.option(`${flag} <n>`, '', parsePositive, value);
    else command.option(flag, '', value);
  }
  return command.parse(args, { from: 'user' }).opts<Given>();
}

function parseList(text: string): number[] {
  try {
    return text.split(',').map(parsePositive);
  } catch {
    throw new InvalidArgumentError('Give integers of 1 or more with commas between, as in 1,2.');
  }
}

const isWords = (value: Options[string]): value is string[] =>
  Array.isArray(value) && typeof value[0] === 'string';

const parseWords =
  (known: readonly string[]) =>
  (text: string): string[] => {
    const words = text.split(',');
    if (words.every((word) => known.includes(word))) return words;
    throw new InvalidArgumentError(
      `Give one of ${known.join(', ')}, or several with commas between.`,
    );
  };
