"""IAM: whether a call is allowed (docs/aws-behaviour.md#permissions)."""
