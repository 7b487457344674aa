"""The warehouse: a PostgreSQL server in the place of each cluster that is used (docs/aws-behaviour.md#the-warehouse)."""
