"""A real Kubernetes control plane on this machine, for tests, the demo and benchmarks.

etcd, kube-apiserver and kube-controller-manager (on request kube-scheduler and kwok) run as plain
processes on 127.0.0.1, without root and without containers. README.md says how to use it.
"""
