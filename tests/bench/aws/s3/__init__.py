"""S3: buckets, their policies, objects and uploads (docs/aws-behaviour.md#s3).

All of it is our own: of a bucket's owner, its policy, encryption and locks moto enforces nothing, and what is then left to
moto is a dictionary.
"""
