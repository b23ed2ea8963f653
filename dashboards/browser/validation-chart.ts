/** Validation by epoch: the mean, and each timestep that is switched on. */
import { Chart, colour, faint, figure, tick, useTheme, wholeTick } from './chart-base.ts';
import { find, findAll, setAddress } from './dom.ts';
import { onRefresh } from './refresh.ts';
import { onTheme } from './theme.ts';

interface Evaluation {
  readonly epoch: number;
  readonly loss: number | null;
  readonly bins: { timestep: number; loss: number | null }[];
}

const dashes = [
  [6, 3],
  [2, 2],
  [8, 3, 2, 3],
  [4, 4],
];

let chart: Chart<'line'> | undefined;

const values = (): Evaluation[] =>
  JSON.parse(find('#validation-values')?.dataset['values'] ?? '[]') as Evaluation[];

const chosenBins = (): number[] =>
  (new URL(location.href).searchParams.get('bins') ?? '')
    .split('.')
    .filter((text) => /^\d+$/.test(text))
    .map(Number);

const draw = (): void => {
  const box = find('#validation-chart');
  const canvas = box === undefined ? undefined : find<HTMLCanvasElement>('canvas', box);
  if (box === undefined || canvas === undefined) return;
  const evaluations = values();
  chart?.destroy();
  chart = undefined;
  box.classList.toggle('drawn', evaluations.length > 0);
  if (evaluations.length === 0) {
    canvas.setAttribute('aria-label', 'Validation loss by epoch: nothing to draw yet.');
    return;
  }
  useTheme();
  const bins = chosenBins();
  const datasets = [
    {
      label: 'mean',
      data: evaluations.map(({ epoch, loss }) => ({ x: epoch, y: loss ?? NaN })),
      borderColor: colour('accent'),
      backgroundColor: colour('accent'),
      borderWidth: 2,
      pointRadius: 3,
      borderDash: [] as number[],
    },
    ...bins.map((timestep, index) => ({
      label: `t ${timestep}`,
      data: evaluations.map(({ epoch, bins }) => ({
        x: epoch,
        y: bins.find((bin) => bin.timestep === timestep)?.loss ?? NaN,
      })),
      borderColor: faint('ink', 55),
      backgroundColor: faint('ink', 55),
      borderWidth: 1.5,
      pointRadius: 0,
      borderDash: dashes[index % dashes.length] ?? [],
    })),
  ];
  chart = new Chart(canvas, {
    type: 'line',
    data: { datasets },
    options: {
      parsing: false,
      normalized: true,
      layout: { padding: { right: bins.length > 0 ? 48 : 4 } },
      interaction: { mode: 'index', intersect: false },
      plugins: {
        tooltip: {
          displayColors: false,
          callbacks: {
            title: (items) => `epoch ${items[0]?.parsed.x ?? 0}`,
            label: (item) => `${item.dataset.label ?? ''} ${figure(item.parsed.y)}`,
          },
        },
      },
      scales: {
        x: {
          type: 'linear',
          title: { display: true, text: 'epoch' },
          grid: { display: false },
          ticks: { precision: 0, maxRotation: 0, callback: wholeTick },
        },
        y: {
          grid: { color: colour('line') },
          ticks: { maxTicksLimit: 6, callback: (value) => tick(Number(value)) },
        },
      },
    },
    plugins: [
      {
        // Each line bears its name at its end: dashes and greys alone don't tell them apart.
        id: 'names',
        afterDatasetsDraw(drawn) {
          const { ctx, data } = drawn;
          if (bins.length === 0) return;
          ctx.save();
          ctx.font = `12px ${Chart.defaults.font.family ?? 'sans-serif'}`;
          ctx.fillStyle = colour('quiet');
          data.datasets.forEach((dataset, index) => {
            const point = drawn.getDatasetMeta(index).data.at(-1);
            if (point !== undefined && Number.isFinite(point.y)) {
              ctx.fillText(dataset.label ?? '', point.x + 6, point.y + 4);
            }
          });
          ctx.restore();
        },
      },
    ],
  });
  const last = evaluations.at(-1);
  canvas.setAttribute(
    'aria-label',
    `Validation loss by epoch, ${evaluations.length} measurements, the last ${figure(last?.loss ?? null)} at epoch ${last?.epoch ?? 0}. Its data table follows.`,
  );
};

const showToggles = (): void => {
  const bins = new Set(chosenBins());
  for (const toggle of findAll('button[data-bin]')) {
    toggle.setAttribute('aria-pressed', String(bins.has(Number(toggle.dataset['bin']))));
  }
};

export const startValidationChart = (): void => {
  document.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target : undefined;
    const toggle = target?.closest<HTMLElement>('button[data-bin]');
    if (toggle === null || toggle === undefined) return;
    const bin = Number(toggle.dataset['bin']);
    const bins = chosenBins();
    const next = bins.includes(bin) ? bins.filter((each) => each !== bin) : [...bins, bin];
    setAddress({ bins: next.sort((a, b) => a - b).join('.') });
    showToggles();
    draw();
  });
  onTheme(draw);
  onRefresh((changed) => {
    if (changed.has('bin-toggles')) showToggles();
    if (changed.has('validation-values')) draw();
  });
  showToggles();
  draw();
};
