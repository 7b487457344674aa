"""The Redshift Data API: statements that run on the warehouse (docs/aws-behaviour.md#statements)."""
