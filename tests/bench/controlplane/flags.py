"""The flags of each program. They run in the folder of the control plane, so that paths in it are relative."""

HOST = "127.0.0.1"

# On sockets in our folder, since etcd asks no client who it is. It wants host:port even here, so that
# the files are called "etcd:0" and "peer:0". Relative, as the path of a socket is limited to 108 bytes.
_ETCD_URL = "unix://etcd:0"
_PEER_URL = "unix://peer:0"
ETCD_SOCKET = "etcd:0"

ETCD = (
    "--name=etcd",
    "--data-dir=etcd-data",
    f"--listen-client-urls={_ETCD_URL}",
    f"--advertise-client-urls={_ETCD_URL}",
    f"--listen-peer-urls={_PEER_URL}",
    f"--initial-advertise-peer-urls={_PEER_URL}",
    f"--initial-cluster=etcd={_PEER_URL}",
    "--unsafe-no-fsync",  # nothing in it has to outlive a crash
    "--log-level=warn",
)

APISERVER = (
    f"--etcd-servers={_ETCD_URL}",
    f"--bind-address={HOST}",
    f"--advertise-address={HOST}",
    "--permit-port-sharing",  # with the socket that reserves the port until it listens
    "--tls-cert-file=pki/apiserver.crt",
    "--tls-private-key-file=pki/apiserver.key",
    "--client-ca-file=pki/ca.crt",
    "--authorization-mode=RBAC",
    "--allow-privileged",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    "--service-account-key-file=pki/service-account.crt",
    "--service-account-signing-key-file=pki/service-account.key",
    "--service-cluster-ip-range=10.0.0.0/24",
    "--endpoint-reconciler-type=none",
    "--profiling=false",
)

# Both that follow: no server of their own, no second replica.
_CLIENT = ("--kubeconfig=kubeconfig", "--leader-elect=false", "--secure-port=0", "--profiling=false")

CONTROLLER_MANAGER = (
    *_CLIENT,
    "--service-account-private-key-file=pki/service-account.key",
    "--root-ca-file=pki/ca.crt",
    "--cluster-signing-cert-file=pki/ca.crt",
    "--cluster-signing-key-file=pki/ca.key",
    "--kube-api-qps=500",  # a test that waits for a namespace to go should not wait for the limiter
    "--kube-api-burst=1000",
    "--flex-volume-plugin-dir=flex",  # or it makes a folder in /usr
)

SCHEDULER = _CLIENT

KWOK = ("--kubeconfig=kubeconfig", "--manage-all-nodes", "--cidr=10.1.0.0/16")
