"""UNLOAD: the rows of a query, written to S3 by roles that the cluster takes on (docs/aws-behaviour.md#unload)."""
