/** Programs of native/tests/ that take a device as their argument; without one it is ggml-cpu. */
export const graphPrograms = [
  { name: 'graph_nodes_test', what: "finite differences of the graph's nodes", atLeast: 22 },
  { name: 'graph_test', what: "every layer's CPU kernels against its graph", atLeast: 203 },
  { name: 'graph_model_test', what: 'whole models on the CPU against their graphs', atLeast: 324 },
  { name: 'placement_test', what: 'memory planned and held there', atLeast: 26 },
  { name: 'device_training_test', what: 'training on the CPU against training on it', atLeast: 42 },
] as const;
