export { deleteRun } from './delete-run.ts';
export { trainRun } from './train-run.ts';
