export interface GraphProgram {
  name: string;
  what: string;
  /** The least that it has to have checked, lest it ends early unseen. */
  atLeast: number;
  /** Of the products of matrices; left out: f32. */
  precision?: 'bf16';
}

/** Programs of native/tests/ that take a device and a precision as their arguments; without, ggml-cpu. */
export const graphPrograms: readonly GraphProgram[] = [
  { name: 'graph_nodes_test', what: "finite differences of the graph's nodes", atLeast: 22 },
  { name: 'graph_test', what: "every layer's CPU kernels against its graph", atLeast: 212 },
  { name: 'graph_model_test', what: 'whole models on the CPU against their graphs', atLeast: 324 },
  { name: 'placement_test', what: 'memory planned and held there', atLeast: 26 },
  { name: 'device_training_test', what: 'training on the CPU against training on it', atLeast: 44 },
  {
    name: 'graph_test',
    what: "every layer's CPU kernels against its graph in BF16",
    atLeast: 212,
    precision: 'bf16',
  },
  {
    name: 'graph_model_test',
    what: 'whole models on the CPU against their graphs in BF16',
    atLeast: 24,
    precision: 'bf16',
  },
  {
    name: 'placement_test',
    what: 'memory planned and held there in BF16',
    atLeast: 26,
    precision: 'bf16',
  },
  {
    name: 'bf16_test',
    what: 'models and their blocks in BF16 beside those of PyTorch',
    atLeast: 228,
    precision: 'bf16',
  },
  {
    name: 'device_training_test',
    what: 'training on the CPU against training on it in BF16',
    atLeast: 44,
    precision: 'bf16',
  },
];

export const argumentsOf = (device: string, { precision }: Pick<GraphProgram, 'precision'>) =>
  precision === undefined ? [device] : [device, precision];
