/** How long is trained: steps in all become epochs of steps. */
import type { Settings } from './settings.ts';
import { wrong } from './setting.ts';
import { numeric } from './values.ts';

/** Where nothing says how often something is saved or sampled. */
const EPOCHS = 10;
const PERIODS = ['sample_every_n_steps', 'sample_every', 'save_every_n_steps', 'save_every'];

export function lengthOf(settings: Settings): void {
  const epochs = settings.take('max_train_epochs', 'num_train_epochs', 'num_epochs');
  const steps = settings.take('max_train_steps', 'steps');
  const epoch = settings.take('epoch');
  const total = steps === undefined ? undefined : numeric(steps.value);
  if (epochs !== undefined) {
    settings.assign('train.epochs', numeric(epochs.value), epochs);
    if (steps !== undefined) {
      settings.unneeded.push({ name: steps.name, why: `${epochs.name} says how long is trained` });
    }
  } else if (steps !== undefined) {
    if (typeof total !== 'number' || !(total >= 1)) {
      settings.problems.push(
        wrong(steps, `${String(steps.value)} is no number of steps`, 'Write a whole number.'),
      );
    } else {
      const a = Math.min(total, periodOf(settings) ?? Math.ceil(total / EPOCHS));
      const count = Math.ceil(total / a);
      const note = `${steps.name} ${total} is ${count} epochs of ${a} steps here`;
      settings.assign('train.epochs', count, steps, note);
      settings.assign('train.steps_per_epoch', a, steps, note);
    }
    if (epoch !== undefined) {
      settings.unneeded.push({ name: epoch.name, why: `${steps.name} says how long is trained` });
    }
  } else if (epoch !== undefined) {
    settings.assign('train.epochs', numeric(epoch.value), epoch);
  }
  warmUp(settings, epochs === undefined && typeof total === 'number' ? total : undefined);
}

function periodOf(settings: Settings): number | undefined {
  for (const name of PERIODS) {
    const period = numeric(settings.find(name)?.value);
    if (typeof period === 'number' && period >= 1) return Math.floor(period);
  }
  return undefined;
}

/** kohya's share of all steps, if it is less than 1; kohya_ss' `lr_warmup` is always one, in percent. */
function warmUp(settings: Settings, total: number | undefined): void {
  const percent = settings.take('lr_warmup');
  const from = settings.take('lr_warmup_steps', 'learning_rate_warmup_steps') ?? percent;
  if (from === undefined) return;
  const value = numeric(from.value);
  const share = typeof value === 'number' && from === percent ? value / 100 : value;
  if (typeof share !== 'number' || share === 0 || (share >= 1 && from !== percent)) {
    settings.assign('train.warmup_steps', share, from);
  } else if (total === undefined) {
    settings.problems.push(
      wrong(
        from,
        `${String(from.value)} is a share of steps that are not known yet`,
        'Set train.warmup_steps.',
      ),
    );
  } else {
    settings.assign('train.warmup_steps', Math.round(share * total), from);
  }
}
