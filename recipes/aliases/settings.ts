import { isDeepStrictEqual } from 'node:util';
import { quoted } from '../problem.ts';
import { type Assignment, isEmpty, type Setting, type SettingProblem, wrong } from './setting.ts';
import { numeric } from './values.ts';

/** The settings of a document by name, while they are being understood. */
export class Settings {
  readonly #byName: Map<string, Setting>;
  readonly assignments: Assignment[] = [];
  readonly problems: SettingProblem[] = [];
  /** What says that kohya's trainer has a LoRA. */
  network: Setting | undefined;
  /** What was understood to change nothing, beside why. */
  readonly unneeded: { name: string; why: string }[] = [];

  /** It is another trainer's file as a whole: what is left out is as there. */
  readonly foreign: boolean;

  constructor(settings: readonly Setting[], foreign: boolean) {
    this.foreign = foreign;
    this.#byName = new Map(
      settings.filter(({ value }) => !isEmpty(value)).map((setting) => [setting.name, setting]),
    );
  }

  /** The first of the names that is given; it is still there afterwards. */
  find(...names: string[]): Setting | undefined {
    const name = names.find((candidate) => this.#byName.has(candidate));
    return name === undefined ? undefined : this.#byName.get(name);
  }

  /** The first of the names that is given; none of them is there afterwards. They mean the same. */
  take(...names: string[]): Setting | undefined {
    const [found, ...others] = names.flatMap((name) => this.find(name) ?? []);
    for (const name of names) this.#byName.delete(name);
    for (const other of others) {
      if (isDeepStrictEqual(numeric(other.value), numeric(found!.value))) continue;
      const what = `${quoted(other.value)}, and ${found!.name} is ${quoted(found!.value)}`;
      this.problems.push(wrong(other, what, 'They are the same setting: say it once.'));
    }
    return found;
  }

  rest(): Setting[] {
    return [...this.#byName.values()];
  }

  assign(to: string, value: unknown, from: Setting, note?: string): void {
    this.assignments.push({
      to: to.split('.'),
      value,
      from,
      ...(note === undefined ? {} : { note }),
    });
  }
}
