"""IAM: roles, their trust and their policies (docs/aws-behaviour.md#roles)."""
