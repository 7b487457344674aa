"""The warehouse: a PostgreSQL server in the place of each cluster whose databases are used (docs/aws-behaviour.md#the-warehouse)."""
