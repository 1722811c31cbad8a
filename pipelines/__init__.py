"""Pipelines on real data, one module each: run one with `piko-flow run pipelines.NAME:pipeline`."""
