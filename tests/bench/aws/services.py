"""Every service: importing one registers its operations."""

from . import kms, redshift, sagemaker, secrets_manager, sts  # noqa: F401
from .ec2 import endpoints, peering_operations, prefix_lists, routes, security_groups, vpcs  # noqa: F401
from .iam import roles  # noqa: F401
from .redshift_data import operations, queries  # noqa: F401
from .s3 import buckets, deletions, listing, objects, policies, uploads  # noqa: F401
