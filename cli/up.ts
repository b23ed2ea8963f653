import type { Command } from 'commander';
import { superviseUp } from '../engine/supervisor.ts';
import { stopOnSignals } from '../engine/up.ts';
import { tillerHome } from '../db/home.ts';
import { parsePort } from './address.ts';
import { commonOptions, type CommonOptions, environment, makeHome } from './context.ts';
import { engineBar } from './engine-bar.ts';
import { createScreen } from './screen.ts';

interface UpOptions extends CommonOptions {
  port?: number;
  enginePort?: number;
  engineUi?: boolean;
}

export const upCommand = (program: Command): Command =>
  commonOptions(program.command('up'))
    .option(
      '--port <port>',
      "the dashboard's port (default: 7420, or any if that is taken; 0: any)",
      parsePort,
    )
    .option('--engine-port <port>', "the engine's port (default: any)", parsePort)
    .option('--engine-ui', "serve Temporal's own web page, too")
    .description('run engine, worker and dashboard; Ctrl-C stops them at a checkpoint')
    .action(async (options: UpOptions) => {
      const env = environment(options);
      const home = tillerHome(env);
      await makeHome(home);
      const { port, enginePort, engineUi } = options;
      const screen = createScreen(process.stdout);
      const bar = engineBar(screen);
      const up = await superviseUp({
        home,
        env,
        ports: {
          ...(port === undefined ? {} : { dashboard: port }),
          ...(enginePort === undefined ? {} : { engine: enginePort }),
        },
        ...(engineUi === true ? { ui: true } : {}),
        say: screen.say,
        progress: bar.update,
      });
      let stopping = false;
      stopOnSignals(up, (line) => {
        stopping = true;
        screen.say(line);
      });
      screen.say(`home      ${home}`);
      try {
        screen.say(`dashboard http://${await up.dashboard}`);
        const { engine, ui } = await up.ready;
        bar.end();
        screen.say(`engine    ${engine}${ui === undefined ? '' : `, its web page http://${ui}`}`);
        screen.say('ready: start a run with `tiller train RECIPE`. Ctrl-C stops.');
      } catch (error) {
        if (!stopping) throw error;
      } finally {
        bar.end();
      }
      await up.done;
    });
