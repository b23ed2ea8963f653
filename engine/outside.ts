import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { TillerError } from '../recipes/errors.ts';

/** A server that someone else keeps: a cluster, the cloud, another `temporal server start-dev`. */
export interface OutsideEngine {
  kind: 'outside';
  connection: NativeConnectionOptions & { address: string };
  namespace: string;
}

/**
 * The outside server that the environment names, in the words that every Temporal program reads:
 * TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_…, or a profile of the
 * configuration file by TEMPORAL_PROFILE or TEMPORAL_CONFIG_FILE. A configuration file that merely
 * lies in its usual place is not enough: it would send runs elsewhere that were meant for here.
 */
export function outsideEngine(env: NodeJS.ProcessEnv): OutsideEngine | undefined {
  if (!env['TEMPORAL_ADDRESS'] && !env['TEMPORAL_PROFILE'] && !env['TEMPORAL_CONFIG_FILE']) {
    return undefined;
  }
  const { connectionOptions, namespace } = load(env);
  const { address } = connectionOptions;
  if (!address) {
    throw new TillerError('USAGE', "The profile of Temporal's configuration has no address", {
      hint: 'Give it one, or set TEMPORAL_ADDRESS, or unset TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE.',
    });
  }
  return {
    kind: 'outside',
    connection: { ...connectionOptions, address },
    namespace: namespace ?? 'default',
  };
}

function load(env: NodeJS.ProcessEnv) {
  const overrideEnvVars: Record<string, string> = {};
  for (const [key, value] of Object.entries(env)) {
    if (value !== undefined) overrideEnvVars[key] = value;
  }
  try {
    return loadClientConnectConfig({ overrideEnvVars });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TillerError('USAGE', `Temporal's configuration cannot be used: ${why}`, {
      hint: 'Check the TEMPORAL_… variables and the configuration file that they name.',
      cause: error,
    });
  }
}
