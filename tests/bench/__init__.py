"""What the tests, the demo and the benchmark run on: a Kubernetes control plane, a local AWS, a release of the chart."""
