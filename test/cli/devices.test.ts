/** Which device `auto` comes to, on machines that are not here. */
import { describe, expect, test } from '@jest/globals';
import { bestDevice, bestOf, bf16Words, type Device } from '../../cli/devices.ts';

const fake = (name: string, kind: string, type: Device['type']): Device => ({
  name,
  kind,
  type,
  description: `a fake ${kind}`,
  memory_bytes: 8e9,
});

const processor = [fake('cpu', 'cpu', 'cpu'), fake('CPU', 'ggml-cpu', 'cpu')];
const cuda = fake('CUDA0', 'cuda', 'discrete');
const metal = fake('MTL0', 'metal', 'integrated');
const laptop = fake('Vulkan0', 'vulkan', 'integrated');
const card = fake('Vulkan1', 'vulkan', 'discrete');
const software = fake('Vulkan0', 'vulkan', 'cpu');

describe('device: auto', () => {
  test.each([
    { machine: 'has no GPU', fakes: [], kind: 'cpu', words: /^cpu, as there is no GPU$/ },
    { machine: 'has Vulkan in software', fakes: [software], kind: 'cpu', words: /no GPU/ },
    { machine: 'has CUDA, and Vulkan on the same card', fakes: [card, cuda], kind: 'cuda' },
    { machine: 'is a Mac', fakes: [metal], kind: 'metal', words: /\(MTL0: a fake metal\)$/ },
    { machine: 'has an integrated GPU', fakes: [laptop], kind: 'vulkan', words: /\(Vulkan0: / },
    {
      machine: 'has a card beside it',
      fakes: [laptop, card],
      kind: 'vulkan',
      words: /\(Vulkan1: /,
    },
    { machine: 'has a card beside software', fakes: [software, card], kind: 'vulkan' },
  ])('on a machine that $machine: $kind', ({ fakes, kind, words = /./ }) => {
    expect(bestOf([...processor, ...fakes])).toEqual({
      kind,
      words: expect.stringMatching(words),
    });
  });

  test('here it is what the trainer lists', async () => {
    expect(['cpu', 'cuda', 'vulkan', 'metal']).toContain((await bestDevice(process.env)).kind);
  }, 300_000);

  test('a processor with AMX: what multiplies in bf16, or how to get it', () => {
    const [cpu, other] = [fake('cpu', 'cpu', 'cpu'), fake('CPU', 'ggml-cpu', 'cpu')];
    expect(bf16Words([cpu, other, cuda])).toBe('');
    const found = bf16Words([{ ...cpu, bf16: 'oneDNN 3.2.0' }, cuda]);
    expect(found).toBe('; cpu multiplies in bf16 by oneDNN 3.2.0');
    const missing = bf16Words([{ ...cpu, no_bf16: 'no oneDNN was found: install one' }, cuda]);
    expect(missing).toMatch(/AMX.*no oneDNN was found: install one$/);
  });

  test('devices that cannot be listed: says so, and what goes on without them', async () => {
    const env = { ...process.env, TILLER_GGML: '/nowhere' };
    await expect(bestDevice(env)).rejects.toMatchObject({
      code: 'DEVICE_MISSING',
      hint: expect.stringContaining('`device: cpu`'),
    });
  }, 300_000);
});
