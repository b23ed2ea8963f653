/** Names that the worker and its clients agree on. */
export const TASK_QUEUE = 'tiller';
export const NAMESPACE = 'default';
export const REQUEST_UPDATE = 'request';
export const workflowIdOf = (run: string): string => `run-${run}`;
