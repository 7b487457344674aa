"""EC2: VPCs and what joins them (docs/aws-behaviour.md#vpc-peering and the sections after it).

moto keeps VPCs, subnets, route tables, security groups and tags. What is done with them here is done by our own
operations, because moto's accept too much; peering connections are kept here as well.
"""
