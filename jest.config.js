export default {
  testEnvironment: 'node',
  globalSetup: '<rootDir>/test/global-setup.ts',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/test/fixtures/'],
  maxWorkers: 2,
  testTimeout: 60_000,
};
