/** LoRA: whether there is one, and what its size is where it is left out. */
import { isOff, wrong } from './setting.ts';
import type { Settings } from './settings.ts';
import { numeric, pairsOf } from './values.ts';

export function network(settings: Settings): void {
  const module = settings.find('network_module', 'LoRA_type', 'network_type');
  const rank = settings.take('network_dim', 'lora_rank', 'linear', 'rank');
  const alpha = settings.take('network_alpha', 'lora_alpha', 'linear_alpha');
  const kohyas = rank?.name === 'network_dim' ? rank : module;
  if (kohyas !== undefined && kohyas.name !== 'network_type') settings.network = kohyas;
  if (rank !== undefined) settings.assign('lora.rank', numeric(rank.value), rank);
  else if (module !== undefined && settings.foreign) {
    settings.assign('lora.rank', 4, module, 'lora.rank is 4, as there without network_dim');
  }
  const of = rank ?? module;
  if (alpha !== undefined) settings.assign('lora.alpha', numeric(alpha.value), alpha);
  // Left out it is 1 there, which is far less than our default: another training altogether.
  else if (settings.foreign && of !== undefined) {
    settings.assign('lora.alpha', 1, of, 'lora.alpha is 1, as there where it is left out');
  }
  // kohya_ss writes these down also where they are not used.
  if (module?.name === 'LoRA_type' && module.value === 'Standard') {
    for (const name of ['conv_dim', 'conv_alpha']) {
      if (settings.take(name) === undefined) continue;
      settings.unneeded.push({ name, why: 'LoRA_type Standard has none' });
    }
  }
  const given = settings.take('network_args', 'network_kwargs');
  for (const [name, text] of given === undefined ? [] : pairsOf(given.value)) {
    const key = { conv_dim: 'lora.conv_rank', conv_alpha: 'lora.conv_alpha' }[name];
    if (key !== undefined) {
      settings.assign(key, numeric(text), given!, `${given!.name} ${name} is ${key} here`);
    } else if (!isOff(text)) {
      const advice = 'Known: conv_dim, conv_alpha. Leave the others out.';
      settings.problems.push(
        wrong(given!, `${name} is not an argument that can be set here`, advice),
      );
    }
  }
}
