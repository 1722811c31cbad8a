"""Flows, one module each: `piko-flow serve pipelines` runs them all, `piko-flow run pipelines.NAME:pipeline` one by
itself, where it has no parameters. Flows that emit to sinks are run by the `app` of their module."""
