"""Flows, one module each: `piko-flow serve pipelines` runs them all, `piko-flow run pipelines.NAME:pipeline` one by
itself, where it has no parameters."""
