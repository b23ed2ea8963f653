/** Losses of A and B per timestep: A blue and solid, B orange and dashed. */
import { Chart, colour, figure, tick, useTheme, wholeTick } from './chart-base.ts';
import { find } from './dom.ts';
import { onTheme } from './theme.ts';

interface Bin {
  readonly timestep: number;
  readonly a: number | null;
  readonly b: number | null;
}

let chart: Chart<'line'> | undefined;
let listening = false;

export const startBinsChart = (): void => {
  if (!listening) {
    listening = true;
    onTheme(startBinsChart);
  }
  const box = find('#bins-chart');
  const canvas = box === undefined ? undefined : find<HTMLCanvasElement>('canvas', box);
  chart?.destroy();
  chart = undefined;
  if (box === undefined || canvas === undefined) return;
  useTheme();
  const bins = JSON.parse(box.dataset['values'] ?? '[]') as Bin[];
  const line = (side: 'a' | 'b', dash: number[]) => ({
    label: side.toUpperCase(),
    data: bins.map((bin) => ({ x: bin.timestep, y: bin[side] ?? NaN })),
    borderColor: colour(side),
    backgroundColor: colour(side),
    borderWidth: 2,
    borderDash: dash,
    pointRadius: 3,
    pointStyle: side === 'a' ? ('circle' as const) : ('rect' as const),
  });
  chart = new Chart(canvas, {
    type: 'line',
    data: { datasets: [line('a', []), line('b', [6, 4])] },
    options: {
      parsing: false,
      normalized: true,
      interaction: { mode: 'index', intersect: false },
      plugins: {
        tooltip: {
          displayColors: false,
          callbacks: {
            title: (items) => `timestep ${items[0]?.parsed.x ?? 0}`,
            label: (item) => `${item.dataset.label ?? ''} ${figure(item.parsed.y)}`,
          },
        },
      },
      scales: {
        x: {
          type: 'linear',
          title: { display: true, text: 'timestep: little noise on the left, much on the right' },
          grid: { display: false },
          ticks: { maxRotation: 0, callback: wholeTick },
        },
        y: {
          grid: { color: colour('line') },
          ticks: { maxTicksLimit: 5, callback: (value) => tick(Number(value)) },
        },
      },
    },
  });
  box.classList.add('drawn');
};
