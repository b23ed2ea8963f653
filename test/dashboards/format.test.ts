import { expect, test } from '@jest/globals';
import {
  formatDelta,
  formatDuration,
  formatEnergy,
  formatLoss,
  formatMoney,
} from '../../dashboards/pages/format.ts';

test.each([
  [0.19741, '0.1974'],
  [12.5, '12.5000'],
  [123_456.7, '123457'],
  [0.000102, '1.02e-4'],
  [0, '0.0000'],
  [NaN, 'NaN'],
  [Infinity, '∞'],
  [-Infinity, '-∞'],
  [null, '–'],
])('a loss of %p is %s', (value, shown) => expect(formatLoss(value)).toBe(shown));

test.each([
  [-0.014, '−0.0140'],
  [0.000102, '+0.0001'],
  [-0.000566, '−0.00057'],
  [2e-9, '+2.00e-9'],
  [0, '±0.0000'],
  [NaN, '–'],
  [undefined, '–'],
])('a difference of %p is %s', (value, shown) => expect(formatDelta(value)).toBe(shown));

test.each([
  [0.42, '0.42 s'],
  [59.6, '1 min 0 s'],
  [3_599.6, '1 h 0 min'],
  [11_520, '3 h 12 min'],
  [200_000, '2 d 7 h'],
  [-1, '0 s'],
])('%d seconds are %s', (seconds, shown) => expect(formatDuration(seconds)).toBe(shown));

test('little energy and little money keep two digits', () => {
  expect([25_560, 144_000].map(formatEnergy)).toEqual(['7.1 Wh', '0.04 kWh']);
  const money = [0, 0.00003, 0.00612, 0.524, 1_234.5].map((amount) => formatMoney(amount, 'EUR'));
  expect(money).toEqual(['€0.00', '< €0.0001', '€0.0061', '€0.52', '€1,234.50']);
});
