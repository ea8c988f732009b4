import type { NextConfig } from 'next';

const config: NextConfig = {
  // This folder is an application of its own, whatever lock files lie above it.
  outputFileTracingRoot: __dirname,
};

export default config;
