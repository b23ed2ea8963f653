/** The script of every page. */
import { startCompare } from './compare.ts';
import { startControls } from './controls.ts';
import { startKeys } from './keys.ts';
import { startLive } from './live.ts';
import { startLossChart } from './loss-chart.ts';
import { startMaking } from './making.ts';
import { startPictures } from './pictures.ts';
import { startPicks } from './picks.ts';
import { rememberRegions } from './refresh.ts';
import { startRuns } from './runs.ts';
import { startTheme } from './theme.ts';
import { startValidationChart } from './validation-chart.ts';

rememberRegions();
startTheme();
startPicks();
const { page } = document.body.dataset;
if (page === 'runs') startRuns();
if (page === 'run' || page === 'compare') startControls();
if (page === 'run') {
  startPictures();
  startMaking();
  // A task of their own: drawing takes a while, and meanwhile nothing else would be answered.
  setTimeout(startLossChart);
  setTimeout(startValidationChart);
}
if (page === 'compare') startCompare();
startKeys();
startLive();
