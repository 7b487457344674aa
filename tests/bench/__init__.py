"""What the tests run against: a Kubernetes control plane and a local AWS."""
