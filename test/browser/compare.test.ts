import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { addSamples } from '../fixtures/seed-record.ts';
import { PHONE, eventually, queryOf, startVisit, type Visit } from './visit.ts';

let visit: Visit;
let page: Page;
beforeAll(async () => {
  visit = await startVisit();
});
afterAll(() => visit.close());
afterEach(async () => {
  await page.context().close();
  expect(visit.complaints.splice(0)).toEqual([]);
});

const open = async (query = '', options = {}): Promise<void> => {
  const { done } = visit.seeded;
  page = await visit.open(`/compare?a=${done}@10&b=${done}@13${query}`, options);
};
const captions = (): Promise<string[]> => page.locator('.stage [data-caption]').allTextContents();
const mode = (): Promise<string | null> => page.locator('#stage').getAttribute('data-mode');
const sources = (): Promise<string[]> =>
  page
    .locator('.stage img')
    .evaluateAll((images) => images.map((image) => String(image.getAttribute('src'))));
const transforms = (): Promise<string[]> =>
  page
    .locator('.view img')
    .evaluateAll((images) =>
      images.map((image) =>
        String((image as unknown as { style: { transform: string } }).style.transform),
      ),
    );

describe('the compare page', () => {
  test('shows the pair, one sentence, and what differs on the first screen', async () => {
    await open();
    expect(await captions()).toEqual(['epoch 10', 'epoch 13']);
    expect(await page.locator('#verdict').textContent()).toMatch(
      /0\.0111 lower \(lower in 7 of 8 bins\)/,
    );
    const box = await page.locator('#verdict').boundingBox();
    expect((box?.y ?? Infinity) + (box?.height ?? 0)).toBeLessThan(900);
    expect(await page.locator('.sameness').textContent()).toContain('Same prompt, same seed');
    await page.locator('#bins-chart.drawn').waitFor();
  });

  test('1 to 5 change the mode, which is in the address', async () => {
    await open();
    for (const [key, name] of [
      ['2', 'slider'],
      ['3', 'flicker'],
      ['4', 'difference'],
      ['5', 'grid'],
      ['1', 'side'],
    ] as const) {
      await page.keyboard.press(key);
      expect(await mode()).toBe(name);
      await eventually('the address', () => queryOf(page)['mode'] === name);
      expect(await page.locator(`button[data-mode=${name}]`).getAttribute('aria-pressed')).toBe(
        'true',
      );
    }
  });

  test('the view is the same after a reload', async () => {
    await open('&prompt=4&mode=slider&slider=30&zoom=3&at=0.4000,0.6000&baseline=1');
    const before = { captions: await captions(), at: await transforms() };
    expect(before.captions[0]).toBe('epoch 0, the base');
    await page.reload();
    await page.locator('#slider').waitFor();
    expect(await page.locator('#slider').inputValue()).toBe('30');
    expect(await page.locator('#prompt').inputValue()).toBe('4');
    expect({ captions: await captions(), at: await transforms() }).toEqual(before);
  });

  test('← → change the prompt', async () => {
    await open();
    const [before] = await sources();
    await page.keyboard.press('ArrowRight');
    expect(await page.locator('#prompt').inputValue()).toBe('2');
    expect((await sources())[0]).not.toBe(before);
    await eventually('the address', () => queryOf(page)['prompt'] === '2');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    expect(await page.locator('#prompt').inputValue()).toBe('8');
    // The words about the pair follow.
    await page
      .locator('#prompt option:checked', { hasText: 'green circle' })
      .waitFor({ state: 'attached' });
  });

  test("↑ ↓ change B's epoch, with Shift A's", async () => {
    await open();
    await page.keyboard.press('ArrowDown');
    await eventually('B at 12', async () => (await captions())[1] === 'epoch 12');
    expect(queryOf(page)['b']).toBe(`${visit.seeded.done}@12`);
    await page.keyboard.press('Shift+ArrowUp');
    await eventually('A at 11', async () => (await captions())[0] === 'epoch 11');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    await eventually('B at 13', async () => (await captions())[1] === 'epoch 13');
    expect(await page.locator('#verdict').textContent()).toContain("B's validation loss");
    await page.goBack();
    await eventually('B at 12 again', async () => (await captions())[1] === 'epoch 12');
  });

  test('S swaps, B takes epoch 0, Space shows the other while it is held', async () => {
    await open();
    await page.keyboard.press('s');
    await eventually('swapped', async () => (await captions())[0] === 'epoch 13');
    expect(await page.locator('#verdict').textContent()).toContain('higher');
    await page.keyboard.press('b');
    expect((await captions())[0]).toBe('epoch 0, the base');
    await page.keyboard.press('b');
    const plain = await sources();
    await page.keyboard.down(' ');
    expect(await sources()).toEqual(plain.toReversed());
    await page.keyboard.up(' ');
    expect(await sources()).toEqual(plain);
  });

  test('zoom and pan are the same on both sides until they are unlinked', async () => {
    await open();
    await page.keyboard.press('z');
    expect((await transforms()).every((transform) => transform.includes('scale(1)'))).toBe(true);
    await page.keyboard.press('0');
    await page.keyboard.press('+');
    await page.keyboard.press('+');
    const fit = await transforms();
    expect(fit[0]).toBe(fit[1]);
    const box = await page.locator('.view').first().boundingBox();
    if (box === null) throw new Error('no view');
    const drag = async (): Promise<void> => {
      await page.mouse.move(box.x + 200, box.y + 200);
      await page.mouse.down();
      await page.mouse.move(box.x + 120, box.y + 160, { steps: 3 });
      await page.mouse.up();
    };
    await drag();
    const panned = await transforms();
    const left = (transform: string | undefined): number =>
      Number(/translate\(([-\d.]+)px/.exec(transform ?? '')?.[1]);
    expect(left(panned[0])).toBeCloseTo(left(fit[0]) - 80, 0);
    expect(panned[0]).toBe(panned[1]);
    await page.keyboard.press('l');
    await drag();
    const apart = await transforms();
    expect(apart[0]).not.toBe(apart[1]);
    await page.keyboard.press('l');
    const linked = await transforms();
    expect(linked[0]).toBe(linked[1]);
  });

  test('the slider is a range input that works with the keyboard', async () => {
    await open('&mode=slider');
    const slider = page.getByRole('slider', { name: 'Where A ends and B begins' });
    await slider.focus();
    const before = await slider.inputValue();
    await page.keyboard.press('ArrowRight');
    expect(Number(await slider.inputValue())).toBe(Number(before) + 1);
    // The arrow moved the slider, not the prompt.
    expect(await page.locator('#prompt').inputValue()).toBe('1');
    const cut = await page
      .locator('.view img')
      .last()
      .evaluate((image) => image.style.clipPath);
    expect(cut).toMatch(/^inset\(/);
  });

  test('flicker blinks on demand, and a tap shows the other', async () => {
    await open('&mode=flicker');
    // Reduced motion: nothing blinks by itself.
    expect(await page.locator('#blink').textContent()).toBe('Blink');
    expect(await captions()).toEqual(['epoch 10']);
    await page.locator('.view').click();
    expect(await captions()).toEqual(['epoch 13']);
    await page.locator('#blink').click();
    await eventually('a blink', async () => (await captions())[0] === 'epoch 10');
    await page.locator('#blink').click();
    expect(await page.locator('#blink').textContent()).toBe('Blink');
  });

  test('the difference is drawn and told, and nil for equal sides', async () => {
    await open('&mode=difference');
    await page.getByText(/Mean difference \d+\.\d %/).waitFor();
    await page.locator('#gain').selectOption('8');
    await eventually('the address', () => queryOf(page)['gain'] === '8');
    const { done } = visit.seeded;
    await page.goto(`${visit.address()}/compare?a=${done}@10&b=${done}@10&mode=difference`);
    await page.getByText('The pictures are identical.').waitFor();
    expect(await page.locator('#verdict').textContent()).toContain('equal');
  });

  test('the grid shows all prompts beside epoch 0, and opens one', async () => {
    await open('&mode=grid');
    expect(await page.locator('ol.pairs > li').count()).toBe(8);
    expect(await page.locator('ol.pairs img').count()).toBe(24);
    await page.getByRole('button', { name: 'sunflower' }).click();
    expect(await mode()).toBe('side');
    expect(await page.locator('#prompt').inputValue()).toBe('3');
  });

  test('runs of other recipes are compared by prompt, with what differs', async () => {
    const { done, training } = visit.seeded;
    page = await visit.open(`/compare?a=${done}@10&b=${training}@10`);
    expect(await captions()).toEqual(['emoji-13, epoch 10', 'emoji-night, epoch 10']);
    expect(await page.locator('section[aria-labelledby=settings-title]').textContent()).toContain(
      'train.learning_rate',
    );
  });

  test('a part of the identity that differs is named, a missing side too', async () => {
    const { done, training } = visit.seeded;
    await addSamples(visit.db, visit.home, training, {
      epoch: 10,
      step: 1500,
      prompts: ['only here'],
      seed: 7,
    });
    page = await visit.open(`/compare?a=${done}@10&b=${training}@10&prompt=9`);
    expect(await page.locator('.view .absent').textContent()).toBe(
      'Not sampled at emoji-13, epoch 10',
    );
    expect(await page.locator('.sameness').textContent()).toContain(
      'Not sampled at emoji-13, epoch 10',
    );
    for (const key of ['2', '3', '4', '5', '1']) await page.keyboard.press(key);
    visit.db.raw.prepare('UPDATE sample SET seed = 99 WHERE run = ? AND epoch = 10').run(training);
    await page.goto(`${visit.address()}/compare?a=${done}@10&b=${training}@10&prompt=1`);
    expect(await page.locator('.sameness').textContent()).toContain('Not the same seed (7 and 99)');
  });

  test('a phone flickers by tap', async () => {
    await open('', { viewport: PHONE, hasTouch: true });
    expect(await mode()).toBe('flicker');
    expect(await captions()).toEqual(['epoch 10']);
    await page.locator('.view').tap();
    expect(await captions()).toEqual(['epoch 13']);
  });

  test('pickers take any run and epoch', async () => {
    await open();
    await page.getByLabel('B: run and epoch').selectOption(`${visit.seeded.failed}@2`);
    await eventually('B', async () => (await captions())[1] === 'emoji-fast, epoch 2');
    expect(queryOf(page)['b']).toBe(`${visit.seeded.failed}@2`);
  });
});
